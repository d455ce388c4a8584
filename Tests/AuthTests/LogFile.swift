// SPDX-License-Identifier: Apache-2.0
import Glibc
import Primitives
import Testing

/// Collects what a log writes, in a file without a name.
final class LogFile: Sendable {
    private let descriptor: Int32
    let log: Log

    init() throws {
        var template = Array("/tmp/atoll-log-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        unlink(template)
        self.descriptor = descriptor
        log = Log(level: .debug, writer: LogWriter(descriptor: descriptor))
        try #require(descriptor >= 0)
    }

    /// All that was written until now.
    var text: String {
        log.flush()
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    deinit { close(descriptor) }
}
