// SPDX-License-Identifier: Apache-2.0

/// How texts become vectors.
package struct EmbeddingsConfiguration: Sendable {
    /// An OpenAI-compatible API, without `/embeddings`.
    package var url = "https://api.openai.com/v1"
    /// Used when a request names none.
    package var model = "text-embedding-3-small"
    /// The name under which the tenant keeps its key.
    package var secretName = "openai"
    /// How long a call may take.
    package var timeout: Duration = .seconds(60)
    /// How often a call that failed for a reason that passes is made again.
    package var maxRetries = 3
    /// The pause before the first repetition; it doubles each time. What the API asks for in `Retry-After` counts instead.
    package var firstPause: Duration = .milliseconds(500)
    /// The longest pause.
    package var maxPause: Duration = .seconds(20)
    /// Texts of a request.
    package var maxTexts = 2048
    /// Texts of one call.
    package var maxTextsPerCall = 256
    /// The longest body, in bytes.
    package var maxBodyBytes = 16 << 20
    /// The largest answer of one call, in bytes: 256 vectors of 4096 dimensions as JSON.
    package var maxAnswerBytes = 64 << 20
    /// What usage is metered with, in cents.
    package var centsPerMillionTokens = 2

    package init() {}
}
