// SPDX-License-Identifier: Apache-2.0
internal import EmbeddedPostgres
internal import Platform
internal import Postgres

/// How the server's parts log in to the project's database: each with no more rights than it needs.
struct DatabaseLogins: Sendable {
    /// Makes roles and schemas, at start alone.
    let administrator: PostgresAddress
    /// Carries the service key's requests: owns nothing, bypasses nothing, switches to the request's role.
    let authenticator: PostgresAddress
    /// Carries everybody else's, as ``authenticator`` does, but cannot become the service role.
    let requests: PostgresAddress
    /// Owns the schema `auth`.
    let auth: PostgresAddress
    /// Owns the schema `vectors`, whose indexes are built in the background.
    let vectors: PostgresAddress
    /// Owns the schema `storage`.
    let storage: PostgresAddress
    /// Carries Storage's requests, with no more rights than ``authenticator``.
    let storageRequests: PostgresAddress
    /// Owns the project's objects, and so what is in tenants' own schemas.
    let project: PostgresAddress
    /// Owns the schema `tenancy`, for what is done beside requests.
    let tenancy: PostgresAddress

    init(_ project: Project, embedded postgres: EmbeddedPostgres) {
        func address(_ role: String) -> PostgresAddress {
            PostgresAddress(
                host: postgres.socketFolder, port: postgres.port, user: role,
                password: project.secrets.databasePassword(for: role), database: "postgres")
        }
        administrator = address(postgres.superuser)
        authenticator = address("authenticator")
        requests = address("atoll_requests")
        auth = address("supabase_auth_admin")
        vectors = address("atoll_vectors")
        storage = address("supabase_storage_admin")
        storageRequests = address("atoll_storage")
        self.project = address("postgres")
        tenancy = address("atoll_tenancy")
    }

    init(_ project: Project, external: PostgresAddress) {
        func address(_ role: String) -> PostgresAddress {
            var address = external
            address.user = role
            address.password = project.secrets.databasePassword(for: role)
            return address
        }
        administrator = external
        authenticator = address("authenticator")
        requests = address("atoll_requests")
        auth = address("supabase_auth_admin")
        vectors = address("atoll_vectors")
        storage = address("supabase_storage_admin")
        storageRequests = address("atoll_storage")
        self.project = external.user == "postgres" ? external : address("postgres")
        tenancy = address("atoll_tenancy")
    }
}
