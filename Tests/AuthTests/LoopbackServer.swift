// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTP
import TestSupport
import Testing

/// Runs `body` with the address of a server on loopback that stands in for somebody else's.
func withLoopbackServer(
    _ routes: (inout Router) -> Void, _ body: @escaping @Sendable (String) async throws -> Void
) async throws {
    var router = Router()
    routes(&router)
    let made = router
    try await Loop.withLoop { loop in
        let server = try HTTPServer(HTTPServerConfiguration(), router: made, loops: [loop])
        let result: Result<Void, any Error> = await withTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: loop) { await server.run() }
            let result: Result<Void, any Error>
            do { result = .success(try await body("http://127.0.0.1:\(server.port)")) } catch {
                result = .failure(error)
            }
            server.stop()
            return result
        }
        try result.get()
    }
}
