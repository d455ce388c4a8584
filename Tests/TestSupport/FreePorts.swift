// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import EventLoop
internal import Glibc

/// Ports of 127.0.0.1 that nobody listens on now; all different, since all are held until the last is known.
package func freePorts(_ count: Int) throws -> [Int] {
    var listeners: [Int32] = []
    defer { for listener in listeners { close(listener) } }
    for _ in 0..<count {
        let listener = clinux_listen("127.0.0.1", 0, 1, 0)
        guard listener >= 0 else { throw SystemError("bind", code: -listener) }
        listeners.append(listener)
    }
    return listeners.map { Int(clinux_bound_port($0)) }
}
