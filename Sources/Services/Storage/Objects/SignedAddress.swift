// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import Primitives

/// What the token of a signed address says: one object, one purpose, an end.
struct SignedAddress: Sendable {
    enum Purpose: String, Sendable {
        case download, upload
    }

    /// `bucket/key`.
    var path: String
    var purpose: Purpose
    /// How a rendered image is to be made; nil for the object itself.
    var transform: JSON?
    /// Of an upload: who signed, and in which tenant.
    var owner: String?
    var tenant: String?
    /// Of an upload: whether it may replace an object.
    var replaces = false
    /// Seconds since 1970.
    private(set) var expiresAt: Int64 = 0

    init(_ path: String, _ purpose: Purpose) {
        self.path = path
        self.purpose = purpose
    }

    /// The token, valid for `lifetime` from now.
    func token(with codec: JWTCodec, lifetime: Duration) throws -> String {
        let now = Timestamp.now().unixSeconds
        var claims: JSONObject = [
            "url": .string(path), "scope": .string(purpose.rawValue), "iat": JSON(now),
            "exp": JSON(now + lifetime.components.seconds),
        ]
        if let transform { claims["transformations"] = transform }
        if purpose == .upload {
            if let owner { claims["owner"] = .string(owner) }
            if let tenant { claims["tenant"] = .string(tenant) }
            claims["upsert"] = .bool(replaces)
        }
        return try codec.sign(claims)
    }

    private static var ended: StorageError {
        StorageError(.invalidJWT, "\"exp\" claim timestamp check failed")
    }

    /// Reads a token.
    ///
    /// - Throws: ``StorageError`` when it is not ours, has ended, or is for another purpose.
    init(verifying token: String, with codec: JWTCodec, for purpose: Purpose) throws(StorageError) {
        let claims: JWTClaims
        do throws(JWTError) { claims = try codec.verify(token) } catch {
            throw switch error {
            case .expired: Self.ended
            default: StorageError(.invalidJWT, "signature verification failed")
            }
        }
        guard let path = claims["url"]?.stringValue, claims["scope"]?.stringValue == purpose.rawValue,
            let end = claims["exp"]?.intValue
        else { throw StorageError(.invalidSignature, "Invalid signature") }
        // The clock that signed is the one that reads: its end is the end, to the second.
        guard Int64(end) > Timestamp.now().unixSeconds else { throw Self.ended }
        self.init(path, purpose)
        transform = claims["transformations"]
        owner = claims["owner"]?.stringValue
        tenant = claims["tenant"]?.stringValue
        replaces = claims["upsert"] == true
        expiresAt = Int64(end)
    }
}
