// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

extension SchemaCacheStore {
    /// The channel on which a reload is asked for: `notify pgrst, 'reload schema'`, or with no payload.
    static let channel = "pgrst"

    /// Reads the cache and again after each notification, until the task is cancelled or the database is shut down. An event trigger
    /// notifies after every statement that changes the schema.
    package func run() async {
        for await event in database.notifications(on: Self.channel) {
            switch event {
            // Listening has begun, or notifications may have been missed: what is known may be old.
            case .gap: await reloadLogging()
            // Settings of roles are read with the schema.
            case .message("", _), .message("reload schema", _), .message("reload config", _): await reloadLogging()
            case .message: break
            }
        }
    }

    /// A failure leaves the cache in force: answers by an older schema are better than none.
    private func reloadLogging() async {
        do throws(PostgresError) {
            try await reload()
        } catch {
            log.warning("rest.schema_cache_failed", .field("error", error.description))
        }
    }
}
