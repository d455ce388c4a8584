// SPDX-License-Identifier: Apache-2.0
package import Cryptography
package import Platform
package import Postgres
package import Primitives

/// Seals and opens the third-party API keys of tenants.
///
/// A ciphertext is bound to its tenant and service, so that one copied to another row does not open there. What is opened is
/// for the server's own calls and is never sent to a client.
package struct SecretVault: Sendable {
    private let keyring: Keyring
    private let database: Database

    /// - Parameter database: logs in as `authenticator`.
    package init(keyring: Keyring, database: Database) {
        self.keyring = keyring
        self.database = database
    }

    /// Encrypts a key for storage.
    package func seal(
        _ secret: SecretString, tenant: UUID, service: String
    ) throws(CryptographyError) -> String {
        try keyring.seal(secret.bytes, context: Self.context(tenant: tenant, service: service))
    }

    /// Decrypts what ``seal(_:tenant:service:)`` made for the same tenant and service.
    package func open(
        _ envelope: String, tenant: UUID, service: String
    ) throws(CryptographyError) -> SecretString {
        let bytes = try keyring.open(envelope, context: Self.context(tenant: tenant, service: service))
        return SecretString(String(decoding: bytes, as: UTF8.self))
    }

    /// The active key of the principal's tenant for a service; nil when there is none, or when the user does not belong to
    /// that tenant. The use is noted on the key and in the audit log.
    ///
    /// - Throws: `PostgresError`; ``CryptographyError`` when the key ring cannot open it.
    package func secret(for service: String, of principal: Principal) async throws -> SecretString? {
        let results = try await database.run(
            principal.unit(["select tenant_id, service_name, envelope from tenancy.use_secret(\(service))"]))
        guard let row = results.first?.onlyRow, let tenant = row["tenant_id"].uuid,
            let name = row["service_name"].string, let envelope = row["envelope"].string
        else { return nil }
        return try open(envelope, tenant: tenant, service: name)
    }

    private static func context(tenant: UUID, service: String) -> SealingContext {
        SealingContext(tenant.description, service)
    }
}
