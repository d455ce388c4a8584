// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// The parts that pages are put together from.
enum Components {
    /// A sentence on how something went, which screen readers read out.
    static func notice(_ phrase: Phrase, isGood: Bool) -> Markup {
        Markup(.div, .class(isGood ? "notice good" : "notice bad"), .role(isGood ? "status" : "alert")) {
            isGood ? Icon.check.markup : Icon.warning.markup
            Markup(.span) { Markup.text(phrase) }
        }
    }

    /// The heading of a page with a sentence below it.
    static func heading(_ title: Phrase, _ lead: Phrase? = nil, @MarkupBuilder actions: () -> Markup = { .nothing })
        -> Markup
    {
        let actions = actions()
        return Markup(.div, .class("heading")) {
            Markup(.div) {
                Markup(.h1) { Markup.text(title) }
                if let lead { Markup(.p, .class("lead")) { Markup.text(lead) } }
            }
            Markup(.div, .class("actions")) { actions }
        }
    }

    /// A part of a page with a heading of its own.
    static func section(
        _ id: String, _ title: Message, _ lead: Phrase? = nil, kind: String = "",
        @MarkupBuilder content: () -> Markup
    ) -> Markup {
        let body = content()
        return Markup(.section, .aria("labelledby", id), .class(kind)) {
            Markup(.h2, .id(id), text: title)
            if let lead { Markup(.p, .class("lead")) { Markup.text(lead) } }
            body
        }
    }

    /// What stands where there is nothing yet, and what to do about it.
    static func empty(
        _ icon: Icon, _ title: Message, _ text: Message? = nil, @MarkupBuilder action: () -> Markup = { .nothing }
    ) -> Markup {
        let action = action()
        return Markup(.div, .class("empty")) {
            icon.markup
            Markup(.p, .class("empty-title"), text: title)
            if let text { Markup(.p, text: text) }
            action
        }
    }

    static func badge(_ message: Message, _ kind: String = "") -> Markup {
        Markup(.span, .class(kind.isEmpty ? "badge" : "badge \(kind)"), text: message)
    }

    static func badge(_ phrase: Phrase, kind: String = "") -> Markup {
        Markup(.span, .class(kind.isEmpty ? "badge" : "badge \(kind)")) { Markup.text(phrase) }
    }

    /// How a table is shown on a phone.
    enum Narrow: Sendable {
        /// A row becomes a list of names and values.
        case stacked
        /// As it is; what does not fit is scrolled to. For columns that nobody has chosen, such as a statement's.
        case scrolled
    }

    /// A table with a heading for each column; cells that do not fit are scrolled to, with the keyboard too.
    static func table(
        _ name: Message, _ columns: [Message], rows: [[Markup]], narrow: Narrow = .stacked
    ) -> Markup {
        table(.of(name), columns.map { Phrase.message($0, []) }, rows: rows, narrow: narrow)
    }

    static func table(_ name: Phrase, _ columns: [Phrase], rows: [[Markup]], narrow: Narrow = .stacked) -> Markup {
        Markup(.div, .class(narrow == .stacked ? "scroll stacked" : "scroll"), .tabindex(0)) {
            // The roles stay what they are when the styles of a phone make blocks of rows and cells.
            Markup(.table, .role("table")) {
                Markup(.caption, .class("unseen")) { Markup.text(name) }
                Markup(.thead, .role("rowgroup")) {
                    Markup(.tr, .role("row")) {
                        for column in columns {
                            Markup(.th, .scope("col"), .role("columnheader")) { Markup.text(column) }
                        }
                    }
                }
                Markup(.tbody, .role("rowgroup")) {
                    for row in rows {
                        Markup(.tr, .role("row")) {
                            for (index, cell) in row.enumerated() {
                                self.cell(cell, of: columns.indices.contains(index) ? columns[index] : .words(""))
                            }
                        }
                    }
                }
            }
        }
    }

    /// A cell says on a phone which column it is of.
    private static func cell(_ content: Markup, of column: Phrase) -> Markup {
        Markup(.td, .role("cell"), .hook("label", column)) {
            if !content.isEmpty { Markup(.div) { content } }
        }
    }

    /// Names and what they are.
    static func facts(_ facts: [(name: Message, value: Markup)]) -> Markup {
        Markup(.dl) {
            for fact in facts {
                Markup(.dt, text: fact.name)
                Markup(.dd) { fact.value }
            }
        }
    }

    static func code(_ text: String) -> Markup { Markup(.code, data: text) }

    /// A moment to the minute in UTC; `atoll.js` writes it in the visitor's own time.
    static func moment(_ text: String?) -> Markup {
        guard let text, let moment = Timestamp(text) else { return .data("–") }
        let iso = moment.description
        return Markup(
            .time, .datetime(iso), .hook("local"), text: .inUTC, "\(iso.prefix(10)) \(iso.dropFirst(11).prefix(5))")
    }

    /// A picture, or the first letter of a name.
    static func avatar(_ path: String?, _ name: String, isLarge: Bool = false) -> Markup {
        let size = isLarge ? "72" : "30"
        let kind = isLarge ? "avatar large" : "avatar"
        if let path {
            return Markup(
                .img, .class(kind), .src(path), .noAlt(), .svg("width", size), .svg("height", size))
        }
        return Markup(.span, .class(kind), .aria("hidden", "true"), data: String(name.prefix(1)).uppercased())
    }

    /// How much of a limit is used.
    ///
    /// - Parameter shown: writes an amount for people.
    static func meter(
        _ label: Message, used: Int, limit: Int?, shown: (Int) -> String = grouped
    ) -> Markup {
        Markup(.div, .class("meter")) {
            Markup(.p) {
                Markup(.span, text: label)
                Markup(.span, .class("figure")) {
                    if let limit {
                        Markup.text(.usedOf, shown(used), shown(limit))
                    } else {
                        Markup.text(.usedUnlimited, shown(used))
                    }
                }
            }
            if let limit, limit > 0 {
                Markup(
                    .progress, .value("\(min(used, limit))"), .svg("max", "\(limit)"), .label(label),
                    .class(used * 10 >= limit * 9 ? "near" : ""))
            }
        }
    }

    /// Links to the pages before and after.
    static func pager(_ path: String, page: Int, hasNext: Bool) -> Markup {
        guard page > 1 || hasNext else { return .nothing }
        let joint = path.contains("?") ? "&" : "?"
        return Markup(.nav, .class("pager"), .label(.pages)) {
            if page > 1 {
                Markup(.a, .class("button quiet"), .href("\(path)\(joint)page=\(page - 1)"), text: .previousPage)
            }
            Markup(.span, text: .pageNumber, "\(page)")
            if hasNext {
                Markup(.a, .class("button quiet"), .href("\(path)\(joint)page=\(page + 1)"), text: .nextPage)
            }
        }
    }

    /// A number in groups of three digits.
    static func grouped(_ number: Int) -> String {
        let digits = String(number.magnitude)
        var result = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { result.append("\u{202F}") }
            result.append(digit)
        }
        return number < 0 ? "-" + result : result
    }

    /// A number of bytes in the greatest unit that leaves at least one before the point.
    static func bytes(_ count: Int) -> String {
        var value = Double(count)
        var unit = 0
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        let tenths = Int((value * 10).rounded())
        let text = unit == 0 || tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
        return "\(text) \(units[unit])"
    }
}
