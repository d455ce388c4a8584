// SPDX-License-Identifier: Apache-2.0

/// What the REST service is told: which schemas it exposes and how requests run.
package struct RESTConfiguration: Sendable {
    /// How a transaction ends.
    package enum TransactionEnd: Sendable {
        /// What succeeds is committed.
        case commit
        /// As `commit`, unless the request says `Prefer: tx=rollback`.
        case commitAllowingOverride
        /// Everything is rolled back: for trials and tests.
        case rollback
        /// As `rollback`, unless the request says `Prefer: tx=commit`.
        case rollbackAllowingOverride
    }

    /// What the root describes.
    package enum Description: Sendable {
        /// What the role that asks may use.
        case followingPrivileges
        /// All that is in the schema, whoever asks.
        case everything
        /// Nothing: 404.
        case disabled
    }

    /// The exposed schemas; the first is the default.
    package var schemas = ["public"]
    /// Whether a user whose tenant has a schema of its own works in that schema: by default for what it holds, by the profile
    /// ``tenantProfile`` always.
    package var servesTenantSchemas = false
    /// The profile that names the schema of the request's own tenant.
    package static let tenantProfile = "tenant"
    /// Functions of the platform that are called as if they were in the default schema, unless that has one of the name.
    package var platformFunctions: [String] = []
    /// Schemas behind the request's on the search path, where functions and operators of extensions live.
    package var extraSearchPath = ["public", "extensions"]
    /// The most rows an answer has, whatever is asked for; nil for no such limit.
    package var maxRows: Int? = 1000
    /// A function called, with no argument, before each request's work, in its transaction: `schema.name`.
    package var preRequest: String?
    /// What the OpenAPI description at the root tells.
    package var description = Description.followingPrivileges
    /// The address at which clients reach the service, such as `https://api.example/rest/v1`; nil for the host of the request.
    package var publicAddress: String?
    /// A function without arguments that answers the root in place of the description, in the request's schema.
    package var rootFunction: String?
    /// How a transaction ends.
    package var transactionEnd = TransactionEnd.commit
    /// Whether `select` takes aggregates: without bounds on what they read, so off unless wanted.
    package var allowsAggregates = false
    /// Whether the execution plan can be asked for, which tells of the tables' sizes and definitions.
    package var showsPlans = false
    /// Whether answers say how long each step took, in `Server-Timing`.
    package var showsTiming = false
    /// Whether errors have details and hints, which name what is similar to what was asked for.
    package var showsErrorDetails = true
    /// Whether answers to a lost database say what the database's client library said, with host and role.
    package var showsConnectionErrors = false
    /// Whether `Prefer: timezone=` is heeded.
    package var takesTimezones = true
    /// Whether an embedded relation that is renamed answers to its own name, too, in filters, orders and limits.
    package var takesFormerNames = true
    /// Whether the description says how requests are authenticated.
    package var describesSecurity = false
    /// Whether what `alter role ... set` says of a request's role holds for the request.
    package var appliesRoleSettings = true
    /// Settings of functions that hold for the whole transaction when the function is called by request.
    package var hoistedSettings = [
        "statement_timeout", "plan_filter.statement_cost_limit", "default_transaction_isolation",
    ]
    /// The largest request body, in bytes.
    package var maxBodyBytes = 10 << 20
    /// The largest body of an answer held in memory, in bytes; larger ones of tables and views are sent as they come.
    package var maxHeldBytes = 1 << 20
    /// The longest query string, in bytes.
    package var maxQueryBytes = 64 << 10
    /// The most filters, embedded relations and sort terms of one request together.
    package var maxTerms = 1000
    /// A header that may be sent as a query parameter instead, and is no filter then: the gateway's `apikey`.
    package var keyParameter: String?
    /// Settings given to each transaction, such as `app.settings.name`.
    package var settings: [(name: String, value: String)] = []

    package init() {}

    var allowsTransactionOverride: Bool {
        switch transactionEnd {
        case .commit, .rollback: false
        case .commitAllowingOverride, .rollbackAllowingOverride: true
        }
    }

    /// Whether a request's transaction is rolled back, given what it prefers.
    func rollsBack(_ preferred: Preferences.TransactionEnd?) -> Bool {
        switch transactionEnd {
        case .commit: false
        case .rollback: true
        case .commitAllowingOverride: preferred == .rollback
        case .rollbackAllowingOverride: preferred != .commit
        }
    }
}
