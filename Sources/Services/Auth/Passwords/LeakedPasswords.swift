// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import Glibc
import Primitives

/// Passwords that are known from leaks, by the SHA-1 digests in which such lists are kept.
///
/// The list is local: one file of lines `DIGEST:COUNT` in the order of the digests, or a folder with a file for each of the
/// first five hexadecimal digits (`5BAA6` or `5BAA6.txt`) of lines `SUFFIX:COUNT`. Both are how the lists of Pwned Passwords
/// are given out. No password and no digest leaves the machine.
struct LeakedPasswords: Sendable {
    let path: String

    /// Why a list could not be read.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Digits that name a range.
    static let prefixLength = 5

    /// The digest of a password in the form of the lists: 40 hexadecimal digits in capitals.
    static func digest(of password: String) -> String {
        Hex.encode(Cryptography.digest(password.utf8, using: .sha1)).uppercased()
    }

    /// Reads files: call it off the loop.
    ///
    /// - Throws: ``Failure``.
    func contains(_ password: String) throws(Failure) -> Bool {
        let digest = Self.digest(of: password)
        var status = stat()
        guard stat(path, &status) == 0 else { throw failure("cannot be found") }
        if status.st_mode & S_IFMT == S_IFDIR { return try rangeFile(contains: digest) }
        return try sortedFile(contains: digest)
    }

    private func failure(_ what: String) -> Failure {
        Failure(description: "the list of leaked passwords \(what): errno \(errno)")
    }

    private func rangeFile(contains digest: String) throws(Failure) -> Bool {
        let prefix = String(digest.prefix(Self.prefixLength))
        let suffix = Array(digest.dropFirst(Self.prefixLength).utf8)
        for name in ["\(path)/\(prefix)", "\(path)/\(prefix).txt"] {
            guard let file = File(name) else { continue }
            // A range has about a thousand lines of some forty bytes.
            guard file.size <= 16 << 20, let bytes = file.read(at: 0, count: Int(file.size)) else {
                throw failure("has a range that cannot be read")
            }
            return Self.lines(bytes, contain: suffix)
        }
        throw failure("has no range \(prefix)")
    }

    /// Whether a line begins with `key` and a colon, or is `key`; digits may be small or capital. A line that says that the password
    /// was seen 0 times is padding.
    static func lines(_ bytes: [UInt8], contain key: [UInt8]) -> Bool {
        bytes.split(separator: UInt8(ascii: "\n")).contains { line in
            compare(line, key) == 0 && !isPadding(line.dropFirst(key.count))
        }
    }

    private static func isPadding(_ count: ArraySlice<UInt8>) -> Bool {
        count.filter { $0 != UInt8(ascii: "\r") }.elementsEqual(":0".utf8)
    }

    /// How a line's digest stands to `key`: negative before it, zero when they are the same.
    private static func compare(_ line: ArraySlice<UInt8>, _ key: [UInt8]) -> Int {
        var position = line.startIndex
        for wanted in key {
            guard position < line.endIndex else { return -1 }
            var byte = line[position]
            if byte &- 97 < 6 { byte -= 32 }
            if byte != wanted { return Int(byte) - Int(wanted) }
            position += 1
        }
        guard position < line.endIndex else { return 0 }
        return [UInt8(ascii: ":"), UInt8(ascii: "\r")].contains(line[position]) ? 0 : 1
    }

    /// Binary search by bytes: each step reads a block and looks at the first whole line in it.
    private func sortedFile(contains digest: String) throws(Failure) -> Bool {
        guard let file = File(path) else { throw failure("cannot be opened") }
        let key = Array(digest.utf8)
        var low: Int64 = 0
        var high = file.size
        while high - low > 4096 {
            let middle = low + (high - low) / 2
            guard let block = file.read(at: middle, count: 512) else { throw failure("cannot be read") }
            guard let lineEnd = block.firstIndex(of: UInt8(ascii: "\n")) else { throw failure("has too long a line") }
            let line = block[(lineEnd + 1)...].prefix { $0 != UInt8(ascii: "\n") }
            if line.count < key.count { break }
            let order = Self.compare(line, key)
            if order == 0 { return true }
            if order < 0 { low = middle } else { high = middle + Int64(lineEnd) + 1 }
        }
        // The window may begin inside a line; the line before it is read too, as the search keeps it below `low`.
        let start = max(0, low - 512)
        guard let window = file.read(at: start, count: Int(min(file.size, high + 512) - start)) else {
            throw failure("cannot be read")
        }
        return Self.lines(window, contain: key)
    }

    /// An open file, closed at the end.
    private struct File: ~Copyable {
        private let descriptor: Int32
        let size: Int64

        init?(_ path: String) {
            descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { return nil }
            var status = stat()
            size = fstat(descriptor, &status) == 0 ? Int64(status.st_size) : 0
        }

        deinit { if descriptor >= 0 { close(descriptor) } }

        /// As many bytes as there are, up to `count`; nil on an error.
        func read(at offset: Int64, count: Int) -> [UInt8]? {
            var failed = false
            let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
                while filled < count {
                    let got = pread(
                        descriptor, buffer.baseAddress.map { $0 + filled }, count - filled, off_t(offset) + filled)
                    if got < 0 {
                        if errno == EINTR { continue }
                        failed = true
                    }
                    if got <= 0 { break }
                    filled += got
                }
            }
            return failed ? nil : bytes
        }
    }
}
