// SPDX-License-Identifier: Apache-2.0
internal import CImages

/// How an image is to be made out of another.
package struct ImageRequest: Sendable, Hashable {
    package enum Fit: String, Sendable, CaseIterable {
        /// Fills width and height and cuts off what is too much.
        case cover
        /// Fits into width and height.
        case contain
        /// Has width and height, whatever becomes of the proportions.
        case fill
    }

    package enum Format: String, Sendable, CaseIterable {
        /// The source's own.
        case origin, jpeg, png, webp, gif, avif, tiff

        /// Nil for ``origin``.
        package var contentType: String? { self == .origin ? nil : "image/\(rawValue)" }
    }

    /// Pixels; 0 keeps the proportion.
    package var width = 0
    package var height = 0
    package var fit = Fit.cover
    package var format = Format.origin
    /// 1 to 100.
    package var quality = 80
    /// What of a covered image is kept, from 0 (left, top) to 1 (right, bottom); nil looks for what draws attention.
    package var focus: Focus? = Focus(x: 0.5, y: 0.5)

    package struct Focus: Sendable, Hashable {
        package var x: Double
        package var y: Double

        package init(x: Double, y: Double) {
            self.x = x
            self.y = y
        }
    }

    package init() {}
}

/// Bounds of one rendering. The process that renders cannot go beyond them, whatever the file makes of its decoder.
package struct ImageLimits: Sendable {
    /// Pixels of the source, all its frames together.
    package var maxPixels = 50_000_000
    /// Bytes of address space.
    package var maxMemoryBytes = 1 << 30
    /// Of the wall clock, and of the processor.
    package var timeout: Duration = .seconds(10)
    /// Bytes of the result.
    package var maxOutputBytes = 64 << 20

    package init() {}
}

/// What came of a rendering.
package struct RenderedImage: Sendable, Hashable {
    package var format: ImageRequest.Format
    package var width: Int
    package var height: Int
}

/// Why an image was not rendered.
package enum ImageError: Int32, Error, Sendable {
    /// libvips is not installed.
    case noLibrary = 11
    /// The file is no image, or one of a kind that is not safe to read.
    case unreadable = 12
    /// It has more pixels than allowed.
    case tooLarge = 13
    /// The image is broken, or needs more memory or time than allowed.
    case failed = 14
    /// As many images wait as may.
    case overloaded = 15
}
