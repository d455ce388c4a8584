// SPDX-License-Identifier: Apache-2.0

/// The bounds of Vectors, and when it builds indexes.
package struct VectorsConfiguration: Sendable {
    /// The largest body, in bytes.
    package var maxBodyBytes = 64 << 20
    /// The most bytes of points that one request may read, all its searches together.
    package var maxAnswerBytes = 64 << 20
    /// Points of one upsert, ids of one request, operations of one batch.
    package var maxBatch = 20_000
    /// The largest `limit` plus `offset`.
    package var maxLimit = 10_000
    /// Searches in one batch, prefetches of one query, examples of one recommendation.
    package var maxQueries = 100
    /// Conditions of one request's filters together.
    package var maxConditions = 1000
    /// Collections a tenant may own.
    package var maxCollectionsPerTenant = 100
    /// Vectors a collection may name.
    package var maxVectorsPerCollection = 32
    /// Kilobytes of unindexed vectors from which an index is built, as Qdrant's `indexing_threshold`.
    package var indexingThresholdKilobytes = 20_000
    /// How often what was missed is looked for.
    package var indexingInterval: Duration = .seconds(10)
    /// The candidates a search of an index keeps (`hnsw_ef`) when the request does not say.
    package var defaultSearchBreadth = 64
    /// The longest a query may run.
    package var statementTimeout: Duration = .seconds(30)
    /// The longest that removing a collection or changing its vectors may run.
    package var maintenanceTimeout: Duration = .seconds(600)
    /// Collections whose settings are remembered.
    package var maxRememberedCollections = 10_000

    package init() {}
}
