// SPDX-License-Identifier: Apache-2.0
internal import CAssets
internal import Primitives

/// One file embedded in the program: SQL of the platform, a web asset.
package struct Asset: BytesOwner {
    /// The path from the folder of assets, such as `sql/prepare.sql`.
    package let path: String
    private let index: Int

    fileprivate init(path: String, index: Int) {
        self.path = path
        self.index = index
    }

    package var byteCount: Int {
        withBytes { $0.count }
    }

    /// Lends the bytes, which are part of the program and never change.
    package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try Assets.withEntry(index) { entry in
            try body(UnsafeRawBufferPointer(start: entry.bytes, count: entry.count))
        }
    }

    /// The content as text; bytes that are not UTF-8 are replaced.
    package var text: String {
        withBytes { String(decoding: $0, as: UTF8.self) }
    }
}

/// The files embedded in the program by `scripts/embed`.
package enum Assets {
    /// Every file, in the byte order of the paths, so that migrations come oldest first.
    package static let all: [Asset] = (0..<Int(atoll_asset_count)).map { index in
        Asset(path: withEntry(index) { String(cString: $0.path) }, index: index)
    }

    private static let byPath = Dictionary(all.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })

    /// The file at `path`; nil when there is none.
    package static subscript(path: String) -> Asset? {
        byPath[path]
    }

    /// The files below `folder`, whose name ends in a slash, in order.
    package static func files(under folder: String) -> [Asset] {
        all.filter { $0.path.hasPrefix(folder) }
    }

    /// Lends one entry of the C table.
    fileprivate static func withEntry<Result>(
        _ index: Int, _ body: (atoll_asset) throws -> Result
    ) rethrows -> Result {
        try body(atoll_asset_at(index).pointee)
    }
}
