// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import EventLoop
internal import Glibc

/// Ports of 127.0.0.1 that nobody listens on now; all different, since all are held until the last is known.
///
/// They lie below the range from which the kernel takes a port for whoever asks for any: between here and the server's own start,
/// another test's server could be given them.
package func freePorts(_ count: Int) throws -> [Int] {
    var listeners: [Int32] = []
    defer { for listener in listeners { close(listener) } }
    var ports: [Int] = []
    while ports.count < count {
        let port = UInt16.random(in: 20_000..<32_000)
        let listener = clinux_listen("127.0.0.1", port, 1, 0)
        if listener < 0 {
            guard -listener == EADDRINUSE else { throw SystemError("bind", code: -listener) }
            continue
        }
        listeners.append(listener)
        ports.append(Int(port))
    }
    return ports
}
