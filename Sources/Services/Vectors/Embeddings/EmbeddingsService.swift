// SPDX-License-Identifier: Apache-2.0
package import HTTP
package import HTTPClient
package import Platform
internal import Postgres
package import Primitives

/// `POST /api/embeddings`: text goes in with the tenant's own key, vectors come out or are stored in a collection.
package struct EmbeddingsService: Sendable {
    /// The tenant's key of a third-party service; nil when it has none.
    package typealias OpenSecret = @Sendable (_ service: String, _ principal: Principal) async throws -> SecretString?

    private let configuration: EmbeddingsConfiguration
    private let client: EmbeddingsClient
    private let vectors: VectorsService
    private let usage: UsageMeter
    private let openSecret: OpenSecret
    private let log: Log

    /// - Parameter vectors: stores what is embedded, as its own requests do.
    package init(
        configuration: EmbeddingsConfiguration, client: HTTPClient, vectors: VectorsService, log: Log,
        meter: UsageMeter, openSecret: @escaping OpenSecret
    ) {
        self.configuration = configuration
        self.client = EmbeddingsClient(configuration: configuration, client: client)
        self.vectors = vectors
        usage = meter
        self.openSecret = openSecret
        self.log = log.with(.field("service", "embeddings"))
    }

    /// Adds the route.
    package func register(on router: inout Router) {
        router.group("/api/embeddings", errors: answer) { router in
            router.on(.post, "/api/embeddings", maxBodyBytes: configuration.maxBodyBytes, embed)
        }
    }

    private func embed(_ request: HTTPRequest) async throws -> HTTPResponse {
        let caller = try Caller(request, vectors.access, maxAnswerBytes: vectors.configuration.maxAnswerBytes)
        guard !caller.isService else {
            throw VectorsError(.forbidden, "a user's token is needed: the key of their tenant is used")
        }
        let body = try EmbeddingsRequest(try await vectors.body(of: request), configuration)
        // A collection that is not there costs no tokens.
        if let target = body.target { _ = try await vectors.storeTarget(target, caller) }
        guard let key = try await openSecret(configuration.secretName, caller.principal) else {
            throw VectorsError(
                .badRequest,
                "the tenant has no key `\(configuration.secretName)`: store it with POST /api/user/api-keys")
        }
        let (answer, charge) = try await metered(body, caller) {
            try await client.embed(
                body.texts, model: body.model, dimensions: body.dimensions, key: key, on: request.loop)
        }
        var response: HTTPResponse
        if let target = body.target {
            let version = try await vectors.store(answer.vectors, target, caller)
            response = .json([
                "stored": JSON(target.points.count), "operation_id": JSON(version), "model": .string(answer.model),
                "usage": ["prompt_tokens": JSON(answer.tokens), "total_tokens": JSON(answer.tokens)],
            ])
        } else {
            response = Self.list(answer)
        }
        if let warning = charge.header { response.headers.append("X-Usage-Warning", warning) }
        return response
    }

    /// The form of OpenAI's own answer.
    private static func list(_ answer: EmbeddingsClient.Answer) -> HTTPResponse {
        .json([
            "object": "list", "model": .string(answer.model),
            "data": .array(
                answer.vectors.enumerated().map { index, vector in
                    [
                        "object": "embedding", "index": JSON(index),
                        "embedding": .array(vector.map { .number($0.description) }),
                    ]
                }),
            "usage": ["prompt_tokens": JSON(answer.tokens), "total_tokens": JSON(answer.tokens)],
        ])
    }

    /// Charges the tenant for about what the call will cost, makes it, and puts in what it did cost: so that calls at once do not go over the
    /// plan together. What was used counts also when storing fails afterwards: the API has been paid.
    ///
    /// - Throws: ``UsageLimitReached``, before anything is asked of the API.
    private func metered(
        _ body: EmbeddingsRequest, _ caller: Caller, _ call: () async throws -> EmbeddingsClient.Answer
    ) async throws -> (EmbeddingsClient.Answer, UsageMeter.Charge) {
        // A token is about four bytes of English; elsewhere fewer, which settling corrects.
        let estimate = body.texts.reduce(0) { $0 + $1.utf8.count / 4 + 1 }
        let charge = try await usage.charge(use(tokens: estimate), to: caller.principal, isEstimate: true)
        let start = ContinuousClock.now
        let answer: EmbeddingsClient.Answer
        do { answer = try await call() } catch {
            try await usage.settle(charge, use(tokens: 0), by: caller.principal)
            throw error
        }
        try await usage.settle(
            charge, use(tokens: answer.tokens, ContinuousClock.now - start), by: caller.principal)
        return (answer, charge)
    }

    private func use(tokens: Int, _ duration: Duration? = nil) -> UsageMeter.Use {
        UsageMeter.Use(
            configuration.secretName, endpoint: "/api/embeddings",
            cost: (tokens * configuration.centsPerMillionTokens + 999_999) / 1_000_000, tokens: tokens,
            duration: duration)
    }

    /// The one place that turns errors into responses, in the form of `/api`.
    private func answer(_ error: any Error, to request: HTTPRequest) -> HTTPResponse {
        if let limit = error as? UsageLimitReached { return limit.response }
        let error = VectorsError(error)
        if let cause = error.cause, error.code.status.code >= 500 {
            log.error(
                "embeddings request failed", .field("request_id", request.id), .field("code", error.code.rawValue),
                .field("cause", String(describing: cause)))
        }
        var response = HTTPResponse.json(["error": .string(error.message)], status: error.code.status)
        if error.code == .rateLimited || error.code == .unavailable { response.headers.append("Retry-After", "1") }
        return response
    }
}

/// A request's body: texts to embed, or points whose texts are embedded and stored.
struct EmbeddingsRequest: Sendable {
    /// Where vectors go.
    struct Target: Sendable {
        var collection: String
        /// Nil for the unnamed vector.
        var vector: String?
        var points: [(id: PointID, payload: JSON)]
    }

    var texts: [String]
    var model: String
    var dimensions: Int?
    var target: Target?

    init(_ members: JSONObject, _ configuration: EmbeddingsConfiguration) throws {
        model = members["model"]?.stringValue ?? configuration.model
        if let value = members["dimensions"], value != .null {
            guard let number = value.intValue, (1...CollectionSettings.maxSize).contains(number) else {
                throw VectorsError(.badRequest, "dimensions must be from 1 to \(CollectionSettings.maxSize)")
            }
            dimensions = number
        }
        if let input = members["input"] {
            let list = input.arrayValue ?? [input]
            texts = list.compactMap(\.stringValue)
            guard texts.count == list.count else {
                throw VectorsError(.badRequest, "input must be a text or a list of texts")
            }
        } else if let collection = members["collection"]?.stringValue, let list = members["points"]?.arrayValue {
            var target = Target(collection: collection, vector: members["using"]?.stringValue, points: [])
            texts = []
            for item in list {
                guard let text = item["text"]?.stringValue, let id = item["id"] else {
                    throw VectorsError(.badRequest, "each point needs `id` and `text`")
                }
                let payload = item["payload"] ?? [:]
                guard payload.objectValue != nil else { throw VectorsError(.badRequest, "payload must be an object") }
                texts.append(text)
                target.points.append((try PointID.parse(id, at: "points"), payload))
            }
            self.target = target
        } else {
            throw VectorsError(.badRequest, "`input`, or `collection` and `points`, are needed")
        }
        guard !texts.isEmpty, texts.allSatisfy({ !$0.isEmpty }) else {
            throw VectorsError(.badRequest, "there must be a text, and none may be empty")
        }
        guard texts.count <= configuration.maxTexts else {
            throw VectorsError(.badRequest, "a request may have at most \(configuration.maxTexts) texts")
        }
    }
}

extension VectorsService {
    /// The collection and the vector that texts are stored in.
    func storeTarget(_ target: EmbeddingsRequest.Target, _ caller: Caller) async throws -> VectorField {
        try await withCollection(target.collection, caller, takesExternal: external != nil) { collection in
            let field = try collection.requireField(target.vector)
            guard field.size != nil else { throw VectorsError(.badRequest, "texts do not become sparse vectors") }
            _ = try await read([], of: collection, caller)
            return field
        }
    }

    /// Upserts the points with their vectors, as a request would.
    ///
    /// - Returns: the operation's number.
    func store(_ vectors: [[Float]], _ target: EmbeddingsRequest.Target, _ caller: Caller) async throws -> Int {
        let version = clock.next()
        try await withCollection(target.collection, caller, takesExternal: external != nil) { collection in
            let field = try collection.requireField(target.vector)
            var batch = PointBatch()
            for (number, point) in target.points.enumerated() {
                batch.ids.append(point.id)
                let start = batch.payloadBytes.count
                point.payload.encode(into: &batch.payloadBytes)
                batch.payloads.append(start..<batch.payloadBytes.count)
                batch.rowVectorNumbers.append(nil)
                let value = try field.accept(.dense(vectors[number]))
                if field.slot == 0, case .dense(let floats) = value {
                    batch.rowVectorNumbers[number] = number
                    batch.rowVectors += floats
                } else {
                    batch.others.append((number, field.slot, value))
                }
            }
            if collection.isExternal, let external {
                _ = try await ExternalGateway(service: self, store: external).apply(
                    [.upsert(batch)], collection, caller, parameters: "?wait=true", configuration.statementTimeout)
                return
            }
            let writer = OperationWriter(
                collection: collection, caller: caller, configuration: configuration, expectsNewPoints: false)
            _ = try await write(try writer.queries(.upsert(batch), version: version), to: collection, caller)
            builder?.wrote(batch.count, to: collection)
        }
        return version
    }
}
