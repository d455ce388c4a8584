// SPDX-License-Identifier: Apache-2.0
package import Cryptography
package import Primitives

/// A project's keys and passwords: those of its configuration, else those made on the first start.
package struct ProjectSecrets: Sendable {
    /// Signs and verifies HS256 tokens.
    package let jwtSecret: SecretString
    /// The JWT of role `anon`.
    package let anonKey: SecretString
    /// The JWT of role `service_role`.
    package let serviceRoleKey: SecretString
    /// The opaque form of ``anonKey``: `sb_publishable_...`.
    package let publishableKey: SecretString
    /// The opaque form of ``serviceRoleKey``: `sb_secret_...`.
    package let secretKey: SecretString
    /// The keys that tenants' secrets are sealed with.
    package let keyring: Keyring
    /// The pair for the S3 protocol.
    package let s3AccessKeyID: String
    package let s3SecretAccessKey: SecretString

    private let databaseKey: SecretString
    private let ownerPassword: SecretString?

    init(_ stored: StoredSecrets, _ configuration: ProjectConfiguration) throws {
        let auth = configuration.auth
        jwtSecret = auth.jwtSecret ?? stored.jwtSecret
        publishableKey = auth.publishableKey ?? stored.publishableKey
        secretKey = auth.secretKey ?? stored.secretKey
        let codec = JWTCodec(keys: KeySet(signingKey: JWTKey(sharedSecret: jwtSecret.bytes)))
        func key(of role: String) throws -> SecretString {
            let claims: JSONObject = [
                "iss": "supabase-demo", "role": .string(role), "iat": JSON(stored.createdAt.unixSeconds),
                "exp": JSON(stored.createdAt.unixSeconds + Self.apiKeySeconds),
            ]
            return SecretString(try codec.sign(claims))
        }
        anonKey = try auth.anonKey ?? key(of: "anon")
        serviceRoleKey = try auth.serviceRoleKey ?? key(of: "service_role")

        var keys = stored.encryptionKeys
        var currentID = stored.currentEncryptionKeyID
        for text in configuration.atoll.previousEncryptionKeys {
            if let bytes = EncryptionKey.bytes(text.reveal()) { keys[EncryptionKey.id(bytes)] = bytes }
        }
        if let bytes = configuration.atoll.encryptionKey.flatMap({ EncryptionKey.bytes($0.reveal()) }) {
            currentID = EncryptionKey.id(bytes)
            keys[currentID] = bytes
        }
        keyring = try Keyring(keys: keys, currentID: currentID)
        s3AccessKeyID = stored.s3AccessKeyID
        s3SecretAccessKey = stored.s3SecretAccessKey
        databaseKey = stored.databaseKey
        ownerPassword = configuration.atoll.postgres.password
    }

    /// The password of a login role of the project's database. Each role has its own, derived from one key of the project, so
    /// that a role added later has one too.
    package func databasePassword(for role: String) -> SecretString {
        if role == "postgres", let ownerPassword { return ownerPassword }
        let derived = HKDF.derive(
            from: databaseKey.bytes, info: Array("database password of role \(role)".utf8), count: 24)
        return SecretString(Base64URL.encode(derived))
    }

    /// The key under which the database keeps digests of one-time codes, which are too short to be kept as plain ones.
    package var oneTimeCodeKey: [UInt8] {
        HKDF.derive(from: databaseKey.bytes, info: Array("digests of one-time codes".utf8), count: 32)
    }

    /// The key of ``IdentitySeal``.
    package var identityKey: [UInt8] {
        HKDF.derive(from: databaseKey.bytes, info: Array("identities of requests".utf8), count: 32)
    }

    /// Ten years.
    private static let apiKeySeconds: Int64 = 10 * 365 * 86_400
}
