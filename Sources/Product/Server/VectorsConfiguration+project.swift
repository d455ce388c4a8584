// SPDX-License-Identifier: Apache-2.0
internal import Platform
internal import Vectors

extension VectorsConfiguration {
    /// The values of `[atoll.vectors]`.
    init(_ settings: ProjectConfiguration.Atoll.Vectors) {
        self.init()
        maxBodyBytes = settings.maxBodyBytes
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
