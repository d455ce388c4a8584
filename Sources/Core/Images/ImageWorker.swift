// SPDX-License-Identifier: Apache-2.0
internal import CImages
internal import Glibc

/// The process that renders one image: its command line, and what it does.
package enum ImageWorker {
    /// Whether images can be rendered on this machine. Loads libvips, so that only the process that renders should ask.
    package static var isAvailable: Bool { cimages_load() != 0 }

    static func arguments(
        _ input: String, _ output: String, _ request: ImageRequest, _ limits: ImageLimits
    ) -> [String] {
        let focus = request.focus ?? .init(x: -1, y: -1)
        return [
            input, output, String(request.width), String(request.height), request.fit.rawValue,
            request.format.rawValue, String(request.quality), String(focus.x), String(focus.y),
            String(limits.maxPixels), String(limits.maxMemoryBytes),
            String(max(1, limits.timeout.components.seconds)), String(limits.maxOutputBytes),
        ]
    }

    static func result(_ output: String) -> RenderedImage? {
        guard let line = output.split(separator: "\n").last else { return nil }
        let words = line.split(separator: " ")
        guard words.count == 4, words[0] == "rendered", let format = ImageRequest.Format(rawValue: String(words[1])),
            let width = Int(words[2]), let height = Int(words[3])
        else { return nil }
        return RenderedImage(format: format, width: width, height: height)
    }

    /// Renders what the command line says.
    ///
    /// - Parameter report: told what came of it, in one line for standard output.
    /// - Returns: the exit code: 0, one of ``ImageError``, or 2 when the command line makes no sense.
    package static func run(_ arguments: [String], report: (String) -> Void) -> Int32 {
        guard arguments.count == 13, let width = Int32(arguments[2]), let height = Int32(arguments[3]),
            let fit = ImageRequest.Fit(rawValue: arguments[4]),
            let format = ImageRequest.Format(rawValue: arguments[5]), let quality = Int32(arguments[6]),
            let focusX = Double(arguments[7]), let focusY = Double(arguments[8]), let pixels = Int(arguments[9]),
            let memory = Int(arguments[10]), let seconds = UInt32(arguments[11]), let size = Int(arguments[12])
        else { return 2 }
        guard cimages_limit(memory, seconds, size) != 0 else { return ImageError.failed.rawValue }
        var request = cimages_request()
        request.width = width
        request.height = height
        request.fit =
            switch fit {
            case .cover: CIMAGES_COVER
            case .contain: CIMAGES_CONTAIN
            case .fill: CIMAGES_FILL
            }
        request.format = code(of: format)
        request.quality = quality
        request.max_pixels = pixels
        request.focus_x = focusX
        request.focus_y = focusY
        var result = cimages_result()
        // The library names its file by the format; the caller wants one name for all.
        let status = cimages_render(arguments[0], arguments[1], &request, &result)
        switch status {
        case CIMAGES_OK: break
        case CIMAGES_NO_LIBRARY: return ImageError.noLibrary.rawValue
        case CIMAGES_UNREADABLE: return ImageError.unreadable.rawValue
        case CIMAGES_TOO_LARGE: return ImageError.tooLarge.rawValue
        default: return ImageError.failed.rawValue
        }
        guard let written = ImageRequest.Format.allCases.first(where: { code(of: $0) == result.format }),
            rename(arguments[1] + suffix(of: written), arguments[1]) == 0
        else { return ImageError.failed.rawValue }
        report("rendered \(written.rawValue) \(result.width) \(result.height)")
        return 0
    }

    private static func code(of format: ImageRequest.Format) -> cimages_format {
        switch format {
        case .origin: CIMAGES_ORIGIN
        case .jpeg: CIMAGES_JPEG
        case .png: CIMAGES_PNG
        case .webp: CIMAGES_WEBP
        case .gif: CIMAGES_GIF
        case .avif: CIMAGES_AVIF
        case .tiff: CIMAGES_TIFF
        }
    }

    /// As `CImages` names its files.
    private static func suffix(of format: ImageRequest.Format) -> String {
        switch format {
        case .origin, .jpeg: ".jpg"
        case .png: ".png"
        case .webp: ".webp"
        case .gif: ".gif"
        case .avif: ".avif"
        case .tiff: ".tif"
        }
    }
}
