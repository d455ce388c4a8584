// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// Qdrant's form of an answer: `{"result": ..., "status": "ok", "time": seconds}`.
struct Envelope: Sendable {
    private let start: ContinuousClock.Instant

    init() { start = .now }

    /// Since the request came.
    var elapsed: Duration { .now - start }

    func response(_ result: JSON) -> HTTPResponse { response(bytes: result.encoded()) }

    /// - Parameter result: JSON text.
    func response(bytes result: [UInt8]) -> HTTPResponse {
        var body: [UInt8] = []
        body.reserveCapacity(result.count + 64)
        body.append(contentsOf: "{\"result\":".utf8)
        body.append(contentsOf: result)
        body.append(contentsOf: ",\"status\":\"ok\",\"time\":".utf8)
        body.append(contentsOf: JSON(elapsed.inSeconds).text.utf8)
        body.append(UInt8(ascii: "}"))
        var response = HTTPResponse.json(bytes: body)
        response.headers.append("Cache-Control", "private, no-store")
        return response
    }
}
