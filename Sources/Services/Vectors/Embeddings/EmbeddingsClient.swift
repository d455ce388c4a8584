// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import HTTP
internal import HTTPClient
internal import Primitives

/// Calls an OpenAI-compatible API with a tenant's key.
struct EmbeddingsClient: Sendable {
    let configuration: EmbeddingsConfiguration
    let client: HTTPClient

    /// Vectors in the order of the texts, and what the API counted.
    struct Answer: Sendable {
        var vectors: [[Float]] = []
        var tokens = 0
        var model = ""
    }

    /// Embeds texts, as many a call as the API takes.
    ///
    /// - Throws: ``VectorsError`` with `upstream`, `unauthorized` when the API refuses the key, or `rateLimited`.
    func embed(_ texts: [String], model: String, dimensions: Int?, key: SecretString, on loop: Loop) async throws
        -> Answer
    {
        var answer = Answer(model: model)
        var start = 0
        while start < texts.count {
            let end = min(start + configuration.maxTextsPerCall, texts.count)
            try await call(Array(texts[start..<end]), dimensions, key, loop, into: &answer)
            start = end
        }
        return answer
    }

    private func call(
        _ texts: [String], _ dimensions: Int?, _ key: SecretString, _ loop: Loop, into answer: inout Answer
    ) async throws {
        var body: JSONObject = [
            "input": .array(texts.map { .string($0) }), "model": .string(answer.model), "encoding_format": "float",
        ]
        if let dimensions { body["dimensions"] = JSON(dimensions) }
        var request = HTTPClientRequest(
            .post, "\(configuration.url)/embeddings",
            headers: ["Content-Type": "application/json", "Authorization": "Bearer \(key.reveal())"],
            body: JSON.object(body).encoded())
        request.timeout = configuration.timeout
        request.maxResponseBytes = configuration.maxAnswerBytes
        let response = try await send(request, on: loop)
        guard let value = try? JSON(parsing: response.body), let data = value["data"]?.arrayValue,
            data.count == texts.count
        else { throw VectorsError(.upstream, "the embeddings API answered in another form") }
        var vectors = [[Float]?](repeating: nil, count: texts.count)
        for (place, item) in data.enumerated() {
            let index = item["index"]?.intValue ?? place
            guard vectors.indices.contains(index),
                let floats = item["embedding"]?.arrayValue?.compactMap({ $0.doubleValue.map { Float($0) } }),
                !floats.isEmpty
            else { throw VectorsError(.upstream, "the embeddings API answered in another form") }
            vectors[index] = floats
        }
        for vector in vectors {
            guard let vector else { throw VectorsError(.upstream, "the embeddings API left a text out") }
            answer.vectors.append(vector)
        }
        answer.tokens += max(0, value["usage"]?["total_tokens"]?.intValue ?? 0)
    }

    /// Sends a call, again when it fails for a reason that passes: no connection, 429, 5xx.
    private func send(_ request: HTTPClientRequest, on loop: Loop) async throws -> HTTPClientResponse {
        var pause = configuration.firstPause
        var attempt = 0
        while true {
            let failure: VectorsError
            var wanted: Duration?
            switch await outcome(of: request) {
            case .failure(let error):
                failure = VectorsError(.upstream, "the embeddings API cannot be reached", cause: error)
            case .success(let response):
                switch response.status.code {
                case 200: return response
                case 401, 403:
                    throw VectorsError(.forbidden, "the embeddings API refuses the key `\(configuration.secretName)`")
                case 429:
                    failure = VectorsError(.rateLimited, "the embeddings API is asked too often")
                    wanted = response.headers["retry-after"].flatMap { Int($0) }.map { .seconds($0) }
                case 500...599:
                    failure = VectorsError(.upstream, "the embeddings API does not work: \(response.status.code)")
                default:
                    let reason = (try? JSON(parsing: response.body))?["error"]?["message"]?.stringValue
                    throw VectorsError(
                        .badRequest,
                        "the embeddings API refuses the request: \(reason?.prefix(200) ?? "no reason given")")
                }
            }
            attempt += 1
            guard attempt <= configuration.maxRetries else { throw failure }
            try await loop.sleep(for: min(wanted ?? pause, configuration.maxPause))
            pause = min(pause * 2, configuration.maxPause)
        }
    }

    private func outcome(of request: HTTPClientRequest) async -> Result<HTTPClientResponse, HTTPClientError> {
        do { return .success(try await client.send(request)) } catch { return .failure(error) }
    }
}
