// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Platform
internal import Primitives
internal import Vectors

extension VectorsConfiguration {
    /// The values of `[atoll.vectors]`.
    init(_ settings: ProjectConfiguration.Atoll.Vectors) {
        self.init()
        maxBodyBytes = settings.maxBodyBytes
        maxAnswerBytes = settings.maxAnswerBytes
        maxBatch = settings.maxBatch
        maxLimit = settings.maxLimit
        maxQueries = settings.maxQueries
        maxConditions = settings.maxConditions
        maxCollectionsPerTenant = settings.maxCollectionsPerTenant
        maxVectorsPerCollection = settings.maxVectorsPerCollection
        indexingThresholdKilobytes = settings.indexingThresholdKilobytes
        indexingInterval = settings.indexingInterval
        defaultSearchBreadth = settings.defaultSearchBreadth
        maxRememberedCollections = settings.maxRememberedCollections
        statementTimeout = settings.statementTimeout
        maintenanceTimeout = settings.maintenanceTimeout
    }
}

extension EmbeddingsConfiguration {
    /// The values of `[atoll.vectors]` that begin with `embeddings_`.
    init(_ settings: ProjectConfiguration.Atoll.Vectors) {
        self.init()
        url = settings.embeddingsURL.hasSuffix("/") ? String(settings.embeddingsURL.dropLast()) : settings.embeddingsURL
        model = settings.embeddingsModel
        timeout = settings.embeddingsTimeout
        maxRetries = settings.embeddingsRetries
        maxTexts = settings.maxEmbeddingTexts
        centsPerMillionTokens = settings.embeddingsCentsPerMillionTokens
    }
}

extension Services {
    /// The Qdrant that keeps the vectors; nil where PostgreSQL does.
    static func externalQdrant(
        _ project: Project, loops: [Loop], metrics: Metrics, log: Log
    ) throws -> ExternalQdrant? {
        let settings = project.configuration.atoll.vectors
        guard settings.enabled, var url = settings.qdrantURL else { return nil }
        while url.hasSuffix("/") { url.removeLast() }
        // Programs beside the server find its own Qdrant API by the same variable: it must not ask itself.
        let own = [settings.port, project.configuration.api.port].filter { $0 != 0 }
        let isOwn = ["127.0.0.1", "localhost", "[::1]", "0.0.0.0"].contains { host in
            own.contains { url == "http://\(host):\($0)" || url.hasPrefix("http://\(host):\($0)/") }
        }
        guard !isOwn else {
            log.warning("qdrant_url names this server: vectors stay in PostgreSQL", .field("service", "vectors"))
            return nil
        }
        var configuration = ExternalQdrantConfiguration(url: url)
        configuration.apiKey = settings.qdrantAPIKey
        configuration.timeout = settings.qdrantTimeout
        configuration.connectTimeout = settings.qdrantConnectTimeout
        configuration.maxConnections = settings.qdrantConnections
        configuration.maxCalls = settings.qdrantMaxCalls
        configuration.maxAnswerBytes = settings.qdrantMaxAnswerBytes
        return try ExternalQdrant(configuration, loops: loops, metrics: metrics)
    }
}
