// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import HTTP
internal import Primitives

/// What a request claims about who signed it, by AWS Signature Version 4: in the field `Authorization` or in the query.
struct S3Signature: Sendable {
    static let algorithm = "AWS4-HMAC-SHA256"

    var accessKeyID: String
    /// `20260101`
    var day: String
    var region: String
    var service: String
    var signedHeaders: [String]
    /// Lower-case hexadecimal digits.
    var signature: String
    /// `20260101T120000Z`
    var date: String
    /// Nil for a signature in the header, which has no end of its own.
    var lifetime: Int?
    var sessionToken: String?

    var scope: String { "\(day)/\(region)/\(service)/aws4_request" }

    /// - Throws: ``StorageError`` when there is no signature, or one that is malformed.
    init(_ request: HTTPRequest) throws(StorageError) {
        let query = FormFields(query: request.query ?? "")
        if let field = request.headers["authorization"], field.hasPrefix(Self.algorithm) {
            var parts: [String: String] = [:]
            for part in field.dropFirst(Self.algorithm.count).split(separator: ",") {
                let pair = part.trimmed.split(separator: "=", maxSplits: 1)
                if pair.count == 2 { parts[String(pair[0])] = String(pair[1]) }
            }
            guard let credential = parts["Credential"], let headers = parts["SignedHeaders"],
                let signature = parts["Signature"], let date = request.headers["x-amz-date"]
            else { throw StorageError(.authorizationMalformed, "The authorization header is malformed") }
            try self.init(credential: credential, headers: headers, signature: signature, date: date)
            sessionToken = request.headers["x-amz-security-token"]
        } else if query.first("X-Amz-Algorithm") == Self.algorithm {
            guard let credential = query.first("X-Amz-Credential"), let headers = query.first("X-Amz-SignedHeaders"),
                let signature = query.first("X-Amz-Signature"), let date = query.first("X-Amz-Date"),
                let lifetime = query.first("X-Amz-Expires").flatMap({ Int($0) }), (1...604_800).contains(lifetime)
            else { throw Self.malformedQuery }
            try self.init(credential: credential, headers: headers, signature: signature, date: date)
            self.lifetime = lifetime
            sessionToken = query.first("X-Amz-Security-Token")
        } else {
            throw StorageError(.accessDenied, "The request is not signed")
        }
        guard signedHeaders.contains("host") else {
            throw StorageError(.authorizationMalformed, "The signature must cover the host")
        }
    }

    private static var malformedQuery: StorageError {
        StorageError(
            .queryAuthorizationMalformed,
            "The query's authorization is malformed, or X-Amz-Expires is not between 1 and 604800 seconds")
    }

    /// Whether everything that changes what a call does was signed: whoever is given a signed address for an upload must not make a
    /// copy of another object of it.
    ///
    /// - Throws: ``StorageError`` with `accessDenied`.
    func checkFields(of request: HTTPRequest) throws(StorageError) {
        // The first two are part of what is signed in any case; the third says nothing.
        let covered = Set(signedHeaders).union(["x-amz-content-sha256", "x-amz-date", "x-amz-user-agent"])
        for field in request.headers.fields {
            let name = field.name.lowercased()
            guard name.hasPrefix("x-amz-"), !covered.contains(name) else { continue }
            throw StorageError(
                .accessDenied, "There were headers present in the request which were not signed: \(name.prefix(100))")
        }
    }

    /// The claim of an upload by form, whose policy is signed.
    init(form fields: [String: String]) throws(StorageError) {
        guard fields["x-amz-algorithm"] == Self.algorithm, let credential = fields["x-amz-credential"],
            let signature = fields["x-amz-signature"], let date = fields["x-amz-date"]
        else { throw StorageError(.accessDenied, "The form is not signed") }
        try self.init(credential: credential, headers: "host", signature: signature, date: date)
        sessionToken = fields["x-amz-security-token"]
    }

    private init(credential: String, headers: String, signature: String, date: String) throws(StorageError) {
        // An access key may hold slashes; the scope behind it cannot.
        let parts = credential.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count >= 5, parts[parts.count - 1] == "aws4_request", date.utf8.count == 16, date.hasSuffix("Z"),
            date.hasPrefix(parts[parts.count - 4]), signature.utf8.count == 64
        else { throw StorageError(.authorizationMalformed, "The credential is malformed") }
        accessKeyID = parts[..<(parts.count - 4)].joined(separator: "/")
        day = String(parts[parts.count - 4])
        region = String(parts[parts.count - 3])
        service = String(parts[parts.count - 2])
        signedHeaders = headers.split(separator: ";").map(String.init)
        self.signature = signature
        self.date = date
    }

    /// The date as a moment.
    var moment: Timestamp? {
        let text = Array(date.utf8)
        guard text.count == 16 else { return nil }
        func part(_ range: Range<Int>) -> String { String(decoding: text[range], as: UTF8.self) }
        return Timestamp(
            "\(part(0..<4))-\(part(4..<6))-\(part(6..<8))T\(part(9..<11)):\(part(11..<13)):\(part(13..<15))Z")
    }

    /// - Throws: ``StorageError`` when the request is too old, too new, or its address has ended.
    func checkTime(now: Timestamp, skew: Duration) throws(StorageError) {
        guard let moment else { throw StorageError(.authorizationMalformed, "The date is malformed") }
        if let lifetime {
            guard moment - now <= skew else { throw StorageError(.accessDenied, "The request is not valid yet") }
            guard now - moment <= .seconds(lifetime) else { throw StorageError(.accessDenied, "Request has expired") }
        } else if now - moment > skew || moment - now > skew {
            throw StorageError(
                .requestTimeTooSkewed, "The difference between the request time and the current time is too large")
        }
    }

    /// The key that signs everything of this scope.
    func signingKey(_ secret: SecretString) -> [UInt8] {
        var key = HMAC.code(for: Array(day.utf8), key: Array("AWS4".utf8) + secret.bytes)
        for part in [region, service, "aws4_request"] { key = HMAC.code(for: Array(part.utf8), key: key) }
        return key
    }

    /// Whether the request bears the signature of who knows the key.
    func isValid(for request: HTTPRequest, payloadHash: String, key: [UInt8]) -> Bool {
        let canonical = canonicalRequest(request, payloadHash: payloadHash)
        let text =
            "\(Self.algorithm)\n\(date)\n\(scope)\n\(Hex.encode(digest(Array(canonical.utf8))))"
        return isValid(Array(text.utf8), key: key)
    }

    /// Whether `signature` is that of these bytes.
    func isValid(_ text: [UInt8], key: [UInt8]) -> Bool {
        constantTimeEquals(Array(Hex.encode(HMAC.code(for: text, key: key)).utf8), Array(signature.utf8))
    }

    private func canonicalRequest(_ request: HTTPRequest, payloadHash: String) -> String {
        let headers = signedHeaders.map { name in
            let values = request.headers.values(name).map { value in
                value.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
            }
            return (name.lowercased(), values.joined(separator: ","))
        }
        return Self.canonicalRequest(
            request.method, request.path, request.query ?? "", headers, payloadHash: payloadHash)
    }

    private static func canonicalRequest(
        _ method: HTTPMethod, _ path: String, _ query: String, _ headers: [(name: String, value: String)],
        payloadHash: String
    ) -> String {
        """
        \(method.rawValue)
        \(canonicalPath(path))
        \(canonicalQuery(query))
        \(headers.map { "\($0.name):\($0.value)\n" }.joined())
        \(headers.map(\.name).joined(separator: ";"))
        \(payloadHash)
        """
    }

    /// Signs a request of ours: adds `x-amz-date` and `authorization`.
    ///
    /// - Parameter headers: all that are signed, names in lower case, `host` and `x-amz-content-sha256` among them.
    static func sign(
        _ method: HTTPMethod, _ path: String, _ query: String, _ headers: inout [String: String], accessKeyID: String,
        secret: SecretString, region: String, at time: Timestamp
    ) {
        let text = Timestamp(unixSeconds: time.unixSeconds).description
        let date = text.filter { $0 != "-" && $0 != ":" }
        let scope = "\(date.prefix(8))/\(region)/s3/aws4_request"
        headers["x-amz-date"] = date
        let signed = headers.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
        let canonical = canonicalRequest(
            method, path, query, signed, payloadHash: headers["x-amz-content-sha256"] ?? "UNSIGNED-PAYLOAD")
        let message = "\(algorithm)\n\(date)\n\(scope)\n\(Hex.encode(digest(Array(canonical.utf8))))"
        var key = Array("AWS4".utf8) + secret.bytes
        for part in scope.split(separator: "/") { key = HMAC.code(for: Array(part.utf8), key: key) }
        let signature = Hex.encode(HMAC.code(for: Array(message.utf8), key: key))
        let names = signed.map(\.name).joined(separator: ";")
        headers["authorization"] =
            "\(algorithm) Credential=\(accessKeyID)/\(scope), SignedHeaders=\(names), Signature=\(signature)"
    }

    /// The path with everything encoded that is not unreserved.
    static func canonicalPath(_ path: String) -> String { encode(decode(path), keepsSlash: true) }

    static func canonicalQuery(_ query: String) -> String {
        var pairs: [(name: String, value: String)] = []
        for part in query.split(separator: "&", omittingEmptySubsequences: true) {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = encode(decode(String(pair[0])), keepsSlash: false)
            let value = pair.count == 2 ? encode(decode(String(pair[1])), keepsSlash: false) : ""
            if name != "X-Amz-Signature" { pairs.append((name, value)) }
        }
        pairs.sort { $0.name == $1.name ? $0.value < $1.value : $0.name < $1.name }
        return pairs.map { "\($0.name)=\($0.value)" }.joined(separator: "&")
    }

    private static func decode(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var position = 0
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "%"), position + 2 < bytes.count,
                let high = Hex.value(of: bytes[position + 1]), let low = Hex.value(of: bytes[position + 2])
            {
                decoded.append(high << 4 | low)
                position += 3
            } else {
                decoded.append(bytes[position])
                position += 1
            }
        }
        return decoded
    }

    static func encode(_ bytes: [UInt8], keepsSlash: Bool) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count)
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                text.append(byte)
            case UInt8(ascii: "/") where keepsSlash: text.append(byte)
            default:
                text.append(UInt8(ascii: "%"))
                text.append(contentsOf: Hex.encode([byte]).uppercased().utf8)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// What `x-amz-content-sha256` says about a request's body.
enum S3Payload: Sendable, Equatable {
    /// The body's SHA-256 in lower-case hexadecimal digits.
    case hashed(String)
    case unsigned
    /// `aws-chunked`: whether each chunk is signed, and whether sums follow the last.
    case chunked(isSigned: Bool, hasTrailer: Bool)

    init(_ request: HTTPRequest) throws(StorageError) {
        let text =
            request.headers["x-amz-content-sha256"]
            ?? FormFields(query: request.query ?? "").first("X-Amz-Content-Sha256") ?? "UNSIGNED-PAYLOAD"
        switch text {
        case "UNSIGNED-PAYLOAD": self = .unsigned
        case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": self = .chunked(isSigned: true, hasTrailer: false)
        case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": self = .chunked(isSigned: true, hasTrailer: true)
        case "STREAMING-UNSIGNED-PAYLOAD-TRAILER": self = .chunked(isSigned: false, hasTrailer: true)
        default:
            guard text.utf8.count == 64, Hex.decode(text) != nil else {
                throw StorageError(.notImplemented, "x-amz-content-sha256 names a form that is not supported")
            }
            self = .hashed(text.lowercased())
        }
    }

    /// What stands for the body in the text that is signed.
    var canonicalText: String {
        switch self {
        case .hashed(let hash): hash
        case .unsigned: "UNSIGNED-PAYLOAD"
        case .chunked(isSigned: true, hasTrailer: false): "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
        case .chunked(isSigned: true, hasTrailer: true): "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
        case .chunked: "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        }
    }
}
