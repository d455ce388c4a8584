// SPDX-License-Identifier: Apache-2.0

/// Types of content: what they may look like, what buckets allow, what bytes look like.
enum MIMEType {
    static let unknown = "application/octet-stream"

    /// Whether a client may declare it: visible ASCII of at most 255 bytes with one slash in front of parameters.
    static func isValid(_ type: String) -> Bool {
        type.utf8.count <= 255 && type.utf8.allSatisfy { (0x20...0x7E).contains($0) }
            && type.prefix { $0 != ";" }.split(separator: "/", omittingEmptySubsequences: false).count == 2
    }

    /// Whether a list of a bucket, such as `["image/*"]`, takes a type. The database decides by the same rule in
    /// `storage.takes_mime_type`.
    static func isAllowed(_ type: String, by allowed: [String]) -> Bool {
        let essence = type.prefix { $0 != ";" }.lowercased()
        let family = essence.prefix { $0 != "/" } + "/*"
        return allowed.isEmpty || allowed.contains { $0 == essence || $0 == family || $0 == "*/*" }
    }

    /// Whether an entry of such a list is well-formed.
    static func isPattern(_ text: String) -> Bool { isValid(text) && !text.contains(";") }

    /// The type that the first bytes of a file prove, after the WHATWG's MIME Sniffing Standard; nil when they prove none. Text
    /// is proved for web pages alone, because browsers run those.
    static func sniffed(_ bytes: some Collection<UInt8>) -> String? {
        let start = Array(bytes.prefix(64))
        for signature in signatures where matches(start, signature) { return signature.type }
        return looksLikeWebPage(start) ? "text/html" : nil
    }

    private struct Signature {
        var type: String
        var bytes: [UInt8]
        var offset = 0
        /// More bytes, further on.
        var then: (offset: Int, bytes: [UInt8])?
    }

    private static let signatures = [
        Signature(type: "image/png", bytes: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]),
        Signature(type: "image/jpeg", bytes: [0xFF, 0xD8, 0xFF]),
        Signature(type: "image/gif", bytes: Array("GIF87a".utf8)),
        Signature(type: "image/gif", bytes: Array("GIF89a".utf8)),
        Signature(type: "image/webp", bytes: Array("RIFF".utf8), then: (8, Array("WEBP".utf8))),
        Signature(type: "image/avif", bytes: Array("ftypavif".utf8), offset: 4),
        Signature(type: "application/pdf", bytes: Array("%PDF-".utf8)),
        Signature(type: "application/zip", bytes: [0x50, 0x4B, 0x03, 0x04]),
        Signature(type: "application/gzip", bytes: [0x1F, 0x8B, 0x08]),
        Signature(type: "video/webm", bytes: [0x1A, 0x45, 0xDF, 0xA3]),
        Signature(type: "audio/wav", bytes: Array("RIFF".utf8), then: (8, Array("WAVE".utf8))),
        Signature(type: "audio/ogg", bytes: Array("OggS".utf8)),
        Signature(type: "audio/mpeg", bytes: Array("ID3".utf8)),
        Signature(type: "application/x-executable", bytes: [0x7F, 0x45, 0x4C, 0x46]),
        Signature(type: "application/x-msdownload", bytes: Array("MZ".utf8), then: (3, [0])),
    ]

    private static func matches(_ start: [UInt8], _ signature: Signature) -> Bool {
        func has(_ bytes: [UInt8], at offset: Int) -> Bool { start.dropFirst(offset).starts(with: bytes) }
        return has(signature.bytes, at: signature.offset)
            && (signature.then.map { has($0.bytes, at: $0.offset) } ?? true)
    }

    private static func looksLikeWebPage(_ start: [UInt8]) -> Bool {
        let text = start.drop { $0 == 0x20 || (0x09...0x0D).contains($0) }.map { $0 >= 65 && $0 <= 90 ? $0 | 0x20 : $0 }
        return ["<!doctype html", "<html", "<script", "<iframe", "<body", "<head"].contains {
            text.starts(with: $0.utf8)
        }
    }

    /// Types that hold others of the table: what the bytes prove does not contradict them.
    private static let containers: [String: [String]] = [
        // Office documents, Java archives, e-books and many more are archives of this form.
        "application/zip": ["application/"],
        "application/gzip": ["application/"],
        "video/webm": ["audio/", "video/"],
        "audio/ogg": ["video/", "application/ogg"],
        "image/avif": ["image/heic", "image/heif", "video/"],
    ]

    /// Whether content may bear a declared type: its bytes prove nothing else.
    static func agrees(_ declared: String, withSniffed sniffed: String) -> Bool {
        let essence = declared.prefix { $0 != ";" }.lowercased()
        return essence == sniffed || (containers[sniffed] ?? []).contains { essence.hasPrefix($0) }
    }
}
