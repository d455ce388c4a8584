// SPDX-License-Identifier: Apache-2.0
package import Primitives

extension ProjectConfiguration.Atoll {
    /// `[atoll.vectors]`
    package struct Vectors: ConfigurationSection {
        package var enabled = true
        package var port = 6333
        package var maxBodyBytes = 64 << 20
        package var maxAnswerBytes = 64 << 20
        package var maxBatch = 20_000
        package var maxLimit = 10_000
        package var maxQueries = 100
        package var maxConditions = 1000
        package var maxCollectionsPerTenant = 100
        package var maxVectorsPerCollection = 32
        package var indexingThresholdKilobytes = 20_000
        package var indexingInterval: Duration = .seconds(10)
        package var defaultSearchBreadth = 64
        package var maxRememberedCollections = 10_000
        package var statementTimeout: Duration = .seconds(30)
        package var maintenanceTimeout: Duration = .seconds(600)
        package var qdrantURL: String?
        package var qdrantAPIKey: SecretString?
        package var qdrantTimeout: Duration = .seconds(30)
        package var qdrantConnectTimeout: Duration = .seconds(5)
        package var qdrantConnections = 32
        package var qdrantMaxCalls = 256
        package var qdrantMaxAnswerBytes = 64 << 20
        package var embeddingsURL = "https://api.openai.com/v1"
        package var embeddingsModel = "text-embedding-3-small"
        package var embeddingsTimeout: Duration = .seconds(60)
        package var embeddingsRetries = 3
        package var maxEmbeddingTexts = 2048
        package var embeddingsCentsPerMillionTokens = 2

        package init() {}

        static var fields: [ConfigurationField<Self>] {
            Field.key(
                "enabled", \.enabled, .boolean, "Whether collections are served, at `port` and under `/vectors/v1`.")
            Field.key(
                "port", \.port, .integer(0...65535),
                "The port of Qdrant's REST API on `[atoll] host`; 0 serves it under `/vectors/v1` alone.")
            Field.key(
                "max_body_size", \.maxBodyBytes, .size(1024...(1 << 31)), "The largest body; more is 413.")
            Field.key(
                "max_answer_size", \.maxAnswerBytes, .size((1 << 20)...(1 << 31)),
                "What one request may read of points, payloads and vectors included; more is refused with 400.")
            Field.key(
                "max_batch", \.maxBatch, .integer(1...1_000_000), "Points of an upsert, and ids of a request.")
            Field.key("max_limit", \.maxLimit, .integer(1...1_000_000), "The largest `limit` and `offset`.")
            Field.key(
                "max_queries", \.maxQueries, .integer(1...10_000),
                "Searches of a batch with their prefetches, examples of a query, operations of a batch.")
            Field.key(
                "max_conditions", \.maxConditions, .integer(1...100_000), "Conditions of a request's filters together.")
            Field.key(
                "max_collections_per_tenant", \.maxCollectionsPerTenant, .integer(1...1_000_000),
                "Collections a tenant may own; one more gets 403.")
            Field.key(
                "max_vectors_per_collection", \.maxVectorsPerCollection, .integer(1...1000),
                "Named vectors of a collection.")
            Field.key(
                "indexing_threshold_kb", \.indexingThresholdKilobytes, .integer(1...1_000_000_000),
                "Kilobytes of vectors without an index from which one is built, where a collection's `optimizers_config` does not say."
            )
            Field.key(
                "indexing_interval", \.indexingInterval, .duration(.milliseconds(100)...(.seconds(86_400))),
                "How often collections that need an index are looked for beside those that were just written.")
            Field.key(
                "hnsw_ef", \.defaultSearchBreadth, .integer(1...1000),
                "The candidates a search of an index keeps when the request does not say.")
            Field.key(
                "max_remembered_collections", \.maxRememberedCollections, .integer(2...10_000_000),
                "Collections whose settings are kept in memory.")
            Field.key(
                "statement_timeout", \.statementTimeout, .duration(.milliseconds(1)...(.seconds(3600))),
                "The longest a query may run; a request's `timeout` can only be shorter.")
            Field.key(
                "maintenance_timeout", \.maintenanceTimeout, .duration(.milliseconds(1)...(.seconds(86_400))),
                "The longest that removing a collection or one of its vectors may run.")
            Field.optional(
                "qdrant_url", \.qdrantURL, .httpURL,
                "A real Qdrant that keeps the collections made from now on, instead of PostgreSQL. One that names this server itself is passed over.",
                variables: ["QDRANT_URL"])
            Field.optional(
                "qdrant_api_key", \.qdrantAPIKey, .secret, "Its key.", variables: ["QDRANT_API_KEY"])
            Field.key(
                "qdrant_timeout", \.qdrantTimeout, .duration(.milliseconds(100)...(.seconds(3600))),
                "How long a call to it may take.")
            Field.key(
                "qdrant_connect_timeout", \.qdrantConnectTimeout, .duration(.milliseconds(100)...(.seconds(600))),
                "How long connecting to it may take.")
            Field.key(
                "qdrant_connections", \.qdrantConnections, .integer(1...10_000),
                "Connections of each loop to it; calls beyond wait for one.")
            Field.key(
                "qdrant_max_calls", \.qdrantMaxCalls, .integer(1...100_000),
                "Calls of each loop to it at a time, waiting ones included; one more is 503.")
            Field.key(
                "qdrant_max_answer_size", \.qdrantMaxAnswerBytes, .size(1024...(1 << 31)),
                "The largest answer taken from it.")
            Field.key(
                "embeddings_url", \.embeddingsURL,
                .text("an address such as \"https://api.openai.com/v1\"") { text in
                    text.hasPrefix("https://") || text.hasPrefix("http://")
                },
                "Where texts are embedded, with the tenant's own key `openai`: an OpenAI-compatible API, without `/embeddings`.",
                variables: ["OPENAI_BASE_URL"])
            Field.key("embeddings_model", \.embeddingsModel, .text, "The model when the request names none.")
            Field.key(
                "embeddings_timeout", \.embeddingsTimeout, .duration(.milliseconds(1)...(.seconds(600))),
                "How long a call to that API may take.")
            Field.key(
                "embeddings_retries", \.embeddingsRetries, .integer(0...10),
                "How often a call that failed for a reason that passes (429, 5xx, no connection) is made again.")
            Field.key(
                "max_embedding_texts", \.maxEmbeddingTexts, .integer(1...100_000), "Texts of one request.")
            Field.key(
                "embeddings_cents_per_million_tokens", \.embeddingsCentsPerMillionTokens, .integer(0...1_000_000),
                "What usage is metered with.")
        }
    }
}
