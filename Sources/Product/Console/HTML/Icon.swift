// SPDX-License-Identifier: Apache-2.0

/// Small pictures of 20 by 20 beside texts; they say nothing the text does not, so screen readers skip them.
enum Icon: String, Sendable {
    case chevron = "M6 8l4 4 4-4"
    case person = "M10 10a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4ZM3.8 16.6c.8-2.9 3.2-4.4 6.2-4.4s5.4 1.5 6.2 4.4"
    case people =
        "M7.5 10a2.9 2.9 0 1 0 0-5.8 2.9 2.9 0 0 0 0 5.8ZM2 16.2c.7-2.7 2.8-4 5.5-4s4.8 1.3 5.5 4M13 4.6a2.7 2.7 0 0 1 0 5.2M15 12.5c1.6.5 2.6 1.8 3 3.7"
    case shield = "M10 2.8l6 2v4.6c0 3.6-2.4 6.3-6 7.8-3.6-1.5-6-4.2-6-7.8V4.8l6-2Z"
    case key = "M12.9 10.6a4 4 0 1 0-3.5-3.5L3 13.5V17h3.5v-2h2v-2h1.8l2.6-2.4ZM13.6 6.4h.01"
    case building = "M4 17V4.5L11 3v14M11 8h5v9M2.5 17h15M6.5 7.5h2M6.5 10.5h2M6.5 13.5h2M13 11h1M13 14h1"
    case warning = "M10 3.2 18 16.8H2L10 3.2ZM10 8.2v4M10 14.6h.01"
    case home = "M3.5 9 10 3.5 16.5 9v7.5h-4.7v-4.7H8.2v4.7H3.5V9Z"
    case table = "M3 4.5h14v11H3v-11ZM3 8.2h14M8 8.2v7.3"
    case terminal = "M3 4h14v12H3V4ZM6 8l2.2 2L6 12M10 12.5h4"
    case folder = "M3 5h5l1.6 2H17v8.5H3V5Z"
    case vector = "M10 3v14M3.9 6.5l12.2 7M16.1 6.5l-12.2 7"
    case list = "M7 5.5h10M7 10h10M7 14.5h10M3.5 5.5h.01M3.5 10h.01M3.5 14.5h.01"
    case chart = "M3.5 16.5h13M5.5 13.5v-3M9 13.5v-7M12.5 13.5v-5M16 13.5V4.5"
    case check = "M4.5 10.5l3.5 3.5 7.5-8"
    case cross = "M5.5 5.5l9 9M14.5 5.5l-9 9"
    case dots = "M5 10h.01M10 10h.01M15 10h.01"

    var markup: Markup {
        Markup(
            .svg, .class("icon"), .svg("viewBox", "0 0 20 20"), .svg("width", "20"), .svg("height", "20"),
            .svg("fill", "none"), .svg("stroke", "currentColor"), .svg("stroke-width", "1.6"),
            .svg("stroke-linecap", "round"), .svg("stroke-linejoin", "round"), .aria("hidden", "true")
        ) { Markup(.path, .svg("d", rawValue)) }
    }
}
