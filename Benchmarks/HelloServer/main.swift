// SPDX-License-Identifier: Apache-2.0
// The HTTP server with one handler, for `make bench`: prints its port, serves until SIGTERM.
import EventLoop
import Glibc
import HTTP

try Loop.runMain { loop in
    var router = Router()
    let body = Array(#"{"message":"hello, world"}"#.utf8)
    router.on(.get, "/hello") { _ in
        HTTPResponse(.ok, headers: ["Content-Type": "application/json"], body: .bytes(body))
    }
    let server = try HTTPServer(HTTPServerConfiguration(), router: router, loops: [loop])
    let signals = try SignalSource([SIGTERM, SIGINT], on: loop) { _ in server.stop() }
    print(server.port)
    fflush(nil)
    await server.run()
    signals.close(on: loop)
}
