// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
package import HTTP
package import HTTPClient
package import Images
package import Platform
package import Postgres
package import Primitives

/// Buckets and objects under `/storage/v1`, for the clients of Supabase Storage, TUS and S3.
///
/// Every request asks row level security on `storage.objects` and `storage.buckets` as the caller. What the service does on its
/// own account, journal and clean-up, it does as the owner of the schema.
package struct StorageService: Sendable {
    let configuration: StorageConfiguration
    /// Logs in as `atoll_storage`.
    let requests: Database
    /// Logs in as `supabase_storage_admin`.
    let owner: Database
    let access: AccessControl
    /// Signs addresses. Its key is derived from the project's, so that no token of Auth is an address and no address a token.
    let addresses: JWTCodec
    let folder: LocalFolder
    let store: any ObjectStore
    let maintenance: StorageMaintenance
    /// Nil where images are served as they are stored.
    let renderer: ImageRenderer?
    let renderLimiter: RenderLimiter?
    let client: HTTPClient
    let locks = VersionLocks()
    let log: Log

    /// - Parameters:
    ///   - requests: logs in as `atoll_storage`.
    ///   - owner: logs in as `supabase_storage_admin`.
    ///   - signingSecret: the project's secret, which keys are derived from.
    package init(
        configuration: StorageConfiguration, requests: Database, owner: Database, access: AccessControl,
        signingSecret: SecretString, folder: LocalFolder, store: any ObjectStore, renderer: ImageRenderer? = nil,
        client: HTTPClient, log: Log
    ) {
        self.configuration = configuration
        self.requests = requests
        self.owner = owner
        self.access = access
        let key = HKDF.derive(from: signingSecret.bytes, info: Array("storage addresses".utf8), count: 32)
        addresses = JWTCodec(keys: KeySet(signingKey: JWTKey(sharedSecret: key)))
        self.folder = folder
        self.store = store
        self.renderer = renderer
        self.client = client
        renderLimiter = configuration.images.flatMap { RenderLimiter(perSecond: $0.requestsPerPath) }
        self.log = log.with(.field("service", "storage"))
        maintenance = StorageMaintenance(
            owner: owner, folder: folder, store: store, interval: configuration.sweepInterval,
            renderedBytes: configuration.images?.cacheBytes ?? 0, log: self.log)
    }

    static let prefix = "/storage/v1"

    /// Adds all routes.
    package func register(on router: inout Router) {
        router.group(Self.prefix, errors: answer) { router in
            registerBuckets(on: &router)
            registerObjects(on: &router)
            registerUploads(on: &router)
            registerDownloads(on: &router)
            registerAddresses(on: &router)
            registerResumable(on: &router)
            registerS3(on: &router)
            registerRendering(on: &router)
            registerPurging(on: &router)
            router.on(.get, "\(Self.prefix)/status") { _ in HTTPResponse(.ok) }
            router.on(.get, "\(Self.prefix)/version") { _ in .text("1.0.0") }
            router.on(.get, "\(Self.prefix)/health") { [requests] _ in
                let isHealthy = (try? await requests.query("select 1")) != nil
                return .json(["healthy": .bool(isHealthy)])
            }
        }
    }

    /// Lives as long as the server: cleans up what an earlier run left behind, then what requests leave.
    package func run() async { await maintenance.run() }

    // MARK: Requests

    /// Runs queries as a principal, with everything that policies may ask about the request.
    func run(
        _ queries: [PostgresQuery], as principal: Principal, _ operation: StorageOperation, _ request: HTTPRequest,
        allowsDeletes: Bool = false
    ) async throws -> [PostgresResult] {
        var unit = principal.unit(queries, request: request)
        unit.settings.append((name: "storage.operation", value: operation.rawValue))
        unit.settings.append((name: "request.jwt.claim.sub", value: principal.subject ?? ""))
        unit.settings.append((name: "request.jwt.claim.role", value: principal.role.rawValue))
        unit.settings.append((name: "request.jwt", value: AccessControl.bearerToken(of: request) ?? ""))
        if configuration.announcesChanges { unit.settings.append((name: "storage.events", value: "on")) }
        if allowsDeletes { unit.settings.append((name: "storage.allow_delete_query", value: "true")) }
        var attempt = 1
        while true {
            do { return try await requests.run(unit) } catch {
                // Taken back whole: of two requests that wait for each other's rows one is ended, and runs again.
                guard error.condition == .collision, attempt < Self.maxAttempts else { throw error }
                attempt += 1
            }
        }
    }

    private static let maxAttempts = 4

    /// Who a request speaks for.
    func principal(for request: HTTPRequest) throws -> Principal {
        try access.principal(for: request)
    }

    /// The object a path names.
    func object(_ request: HTTPRequest) throws -> ObjectName {
        try ObjectName(bucket: request.parameters["bucket"], key: request.parameters["key"])
    }

    func bucketName(_ request: HTTPRequest) throws -> String {
        guard let name = request.parameters["bucket"], BucketName.isValid(name) else {
            throw StorageError(.invalidBucketName, "Bucket name invalid")
        }
        return name
    }

    /// A body that must be a JSON object.
    func body(_ request: HTTPRequest) async throws -> JSONObject {
        let bytes = try await request.body.collect()
        guard let members = (try? JSON(parsing: bytes))?.objectValue else {
            throw StorageError.invalid("The body is not a JSON object")
        }
        return members
    }

    func json(_ bytes: any BytesOwner) -> HTTPResponse {
        HTTPResponse(.ok, headers: ["Content-Type": "application/json; charset=utf-8"], body: .lent(bytes))
    }

    /// The one place that turns errors into responses, but for S3 and TUS.
    private func answer(_ error: any Error, to request: HTTPRequest) -> HTTPResponse {
        let error = StorageError(error)
        report(error, request)
        return error.response
    }

    func report(_ error: StorageError, _ request: HTTPRequest) {
        guard let cause = error.cause, (error.status ?? error.code.trueStatus).code >= 500 else { return }
        log.error(
            "storage request failed", .field("request_id", request.id), .field("code", error.code.rawValue),
            .field("cause", String(describing: cause)))
    }
}

extension Principal {
    /// `sub`, whatever its form; nil for keys.
    var subject: String? {
        if let userID { return userID.description }
        return (try? JSON(parsing: claims))?["sub"]?.stringValue
    }

    /// Whoever holds a signed address, whose right was checked when it was signed. Runs past row level security, and counts
    /// against the quota of who signed.
    init(holderOfAddressSignedBy signer: String?, tenant: String?) {
        var claims: JSONObject = ["role": .string(Role.serviceRole.rawValue)]
        if let signer { claims["sub"] = .string(signer) }
        if let tenant { claims["app_metadata"] = ["tenant_id": .string(tenant)] }
        self.init(role: .serviceRole, verified: JWTClaims(claims))
    }
}
