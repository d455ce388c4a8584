// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// A request of a probe: what is sent, and the line to send it again by hand.
struct ProbeRequest: Sendable {
    enum Caller: Sendable {
        case visitor
        case member(ProbeSession)
        case service
        /// No key at all, or one that stands in the headers.
        case nobody
    }

    var method: HTTPMethod
    /// With its query, encoded.
    var path: String
    var caller: Caller
    /// Names in lower case.
    var headers: [(name: String, value: String)] = []
    var body: [UInt8]?

    init(_ method: HTTPMethod, _ path: String, as caller: Caller) {
        self.method = method
        self.path = path
        self.caller = caller
    }

    init(_ method: HTTPMethod, _ path: String, as session: ProbeSession) {
        self.init(method, path, as: .member(session))
    }

    func with(_ name: String, _ value: String) -> ProbeRequest {
        var request = self
        request.headers.append((name, value))
        return request
    }

    func json(_ body: JSON) -> ProbeRequest { with("content-type", "application/json").bytes(body.encoded()) }

    func form(_ fields: [(name: String, value: String)]) -> ProbeRequest {
        with("content-type", "application/x-www-form-urlencoded").bytes(Array(FormFields.encode(fields).utf8))
    }

    func bytes(_ bytes: [UInt8]) -> ProbeRequest {
        var request = self
        request.body = bytes
        return request
    }

    /// What the request says itself: an answer that repeats it tells nothing.
    var text: String {
        (percentDecode(path) ?? path) + String(decoding: body ?? [], as: UTF8.self)
            + headers.map(\.value).joined(separator: "\n")
    }

    /// A line for a shell in which API_URL, ANON_KEY and TOKEN are set.
    var curl: String {
        var line = "curl"
        switch method {
        case .get: break
        case .head: line += " -I"
        default: line += " -X \(method.rawValue)"
        }
        line += " \"$API_URL\"\(Self.quoted(Self.withoutToken(path)))"
        switch caller {
        case .visitor: line += #" -H "apikey: $ANON_KEY""#
        case .member: line += #" -H "apikey: $ANON_KEY" -H "Authorization: Bearer $TOKEN""#
        case .service: line += #" -H "apikey: $SERVICE_ROLE_KEY""#
        case .nobody: break
        }
        for (name, value) in headers {
            line +=
                Self.secretHeaders.contains(name)
                ? " -H \"\(name): $TOKEN\"" : " -H \(Self.quoted("\(name): \(value)"))"
        }
        if let body {
            let text = String(validating: body, as: UTF8.self).map { $0.utf8.count <= 2000 ? $0 : nil } ?? nil
            line += " --data-binary \(text.map(Self.quoted) ?? "@body")"
        }
        return line
    }

    /// The address without the token that a signed one carries.
    private static func withoutToken(_ path: String) -> String {
        guard let token = path.firstRange(of: "token=") else { return path }
        return path[..<token.upperBound] + "..." + path[token.upperBound...].drop { $0 != "&" }
    }

    /// Those that hold tokens.
    private static let secretHeaders: Set<String> = ["authorization", "cookie", "x-amz-security-token"]

    private static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }
}

/// What the server said.
struct ProbeAnswer: Sendable {
    let status: Int
    let headers: HTTPHeaders
    let body: [UInt8]

    var isSuccess: Bool { (200..<300).contains(status) }
    var text: String { String(decoding: body, as: UTF8.self) }
    var json: JSON { (try? JSON(parsing: body)) ?? .null }

    /// The total of `Content-Range: 0-1/2`.
    var total: Int? { headers["content-range"]?.split(separator: "/").last.flatMap { Int($0) } }
}

/// A signed-in member of a probe's tenant.
struct ProbeSession: Sendable {
    let tenant: ProbeTenant
    let password: SecretString
    let token: SecretString
    let refreshToken: SecretString
    /// Stands in files, payloads and keys of the tenant's, and in no request of anybody else's.
    let mark: String

    /// What an answer to somebody else must not hold.
    var marks: [String] { tenant.marks + [tenant.email, mark] }
}

/// Text as a part of an address's path or query.
func encoded(_ text: String) -> String {
    text.utf8.reduce(into: "") { result, byte in
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            result.unicodeScalars.append(Unicode.Scalar(byte))
        default: result += percentEncode(byte)
        }
    }
}
