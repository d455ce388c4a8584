// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import HTTP
package import Primitives

/// A line of the access log in the combined format of web servers, with the database role as the user.
package struct AccessLogLine: Sendable {
    let request: HTTPRequest
    /// Nil where the request was refused before it had one.
    let role: String?
    let response: HTTPResponse

    package init(_ request: HTTPRequest, role: String?, _ response: HTTPResponse) {
        self.request = request
        self.role = role
        self.response = response
    }

    /// Whether an answer of this status is logged.
    package static func isWritten(_ status: Int, at level: StandaloneConfiguration.LogLevel) -> Bool {
        switch level {
        case .crit: false
        case .error: status >= 500
        case .warn: status >= 400
        case .info, .debug: true
        }
    }

    /// The line, with its end. What clients chose cannot break out of its place.
    package func text(at time: Timestamp) -> String {
        let address = request.remoteAddress.isEmpty ? "-" : request.remoteAddress
        let target = request.query.map { "\(request.path)?\($0)" } ?? request.path
        return "\(address) - \(Self.clean(role) ?? "-") [\(Self.date(time))] "
            + "\"\(Self.clean(request.method.rawValue) ?? "") \(Self.clean(target) ?? "") HTTP/1.1\" "
            + "\(response.status.code) \(byteCount) \"\(Self.clean(request.headers["referer"]) ?? "")\" "
            + "\"\(Self.clean(request.headers["user-agent"]) ?? "")\"\n"
    }

    private var byteCount: String {
        switch response.body {
        case .empty: "0"
        case .bytes(let bytes): "\(bytes.count)"
        case .lent(let owner): "\(owner.withBytes { $0.count })"
        case .file(let slice): "\(slice.range.count)"
        case .stream(let count, _): count.map { "\($0)" } ?? "-"
        }
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func date(_ time: Timestamp) -> String {
        var seconds = time_t(time.unixSeconds)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(two(parts.tm_mday))/\(months[Int(parts.tm_mon)])/\(1900 + Int(parts.tm_year)):"
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) +0000"
    }

    /// Quotes, backslashes and what is no visible ASCII as `\xHH`.
    private static func clean(_ text: String?) -> String? {
        guard let text else { return nil }
        var clean: [UInt8] = []
        for byte in text.utf8 {
            if byte > 0x20, byte < 0x7F, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
                clean.append(byte)
            } else if byte == 0x20 {
                clean.append(byte)
            } else {
                clean += Array("\\x\(Hex.encode([byte]))".utf8)
            }
        }
        return String(decoding: clean, as: UTF8.self)
    }
}
