// SPDX-License-Identifier: Apache-2.0
internal import CLinux

/// What a descriptor can be ready for, or what to wait for.
package struct Readiness: OptionSet, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A read would not block (or would tell of the end).
    package static let readable = Readiness(rawValue: 1)
    /// A write would not block.
    package static let writable = Readiness(rawValue: 2)
    /// The peer closed its sending side (it may still read), or the connection is gone.
    package static let hangup = Readiness(rawValue: 4)
    /// The descriptor has an error pending.
    package static let error = Readiness(rawValue: 8)
    /// As interest only: tell of changes instead of states. The handler then reads or writes until `EAGAIN`.
    package static let edgeTriggered = Readiness(rawValue: 16)
    /// Both directions are gone: not only a half-close.
    package static let closed = Readiness(rawValue: 32)

    init(epollMask: UInt32) {
        var bits: UInt8 = 0
        if epollMask & clinux_epoll_in != 0 { bits |= 1 }
        if epollMask & clinux_epoll_out != 0 { bits |= 2 }
        if epollMask & (clinux_epoll_peer_closed | clinux_epoll_hangup) != 0 { bits |= 4 }
        if epollMask & clinux_epoll_error != 0 { bits |= 8 }
        if epollMask & clinux_epoll_hangup != 0 { bits |= 32 }
        rawValue = bits
    }

    var epollMask: UInt32 {
        var mask: UInt32 = 0
        if contains(.readable) { mask |= clinux_epoll_in }
        if contains(.writable) { mask |= clinux_epoll_out }
        if contains(.hangup) { mask |= clinux_epoll_peer_closed }
        if contains(.edgeTriggered) { mask |= clinux_epoll_edge }
        return mask
    }
}

/// Names a watched descriptor. A slot number and a generation, so that an event fetched for a registration that has
/// ended meanwhile cannot reach the next owner of the slot.
package struct Registration: Sendable, Hashable {
    let token: UInt64
    var slot: Int { Int(token & 0xFFFF_FFFF) }
    var generation: UInt32 { UInt32(token >> 32) }
}

/// The handlers of a loop by slot.
struct RegistrationTable {
    private struct Slot {
        var descriptor: Int32 = -1
        var generation: UInt32 = 0
        var handler: (any ReadinessHandler)?
    }
    private var slots: [Slot] = []
    private var free: [Int] = []

    mutating func insert(_ descriptor: Int32, _ handler: any ReadinessHandler) -> Registration {
        let index: Int
        if let reused = free.popLast() {
            index = reused
        } else {
            index = slots.count
            slots.append(Slot())
        }
        // Below 2^31, so that no token equals the wake-up token.
        let generation = (slots[index].generation &+ 1) & 0x7FFF_FFFF
        slots[index] = Slot(descriptor: descriptor, generation: generation, handler: handler)
        return Registration(token: UInt64(generation) << 32 | UInt64(index))
    }

    func handler(for registration: Registration) -> (any ReadinessHandler)? {
        guard isLive(registration) else { return nil }
        return slots[registration.slot].handler
    }

    func descriptor(for registration: Registration) -> Int32? {
        guard isLive(registration) else { return nil }
        return slots[registration.slot].descriptor
    }

    mutating func remove(_ registration: Registration) {
        guard isLive(registration) else { return }
        slots[registration.slot].handler = nil
        slots[registration.slot].descriptor = -1
        free.append(registration.slot)
    }

    private func isLive(_ registration: Registration) -> Bool {
        registration.slot < slots.count && slots[registration.slot].generation == registration.generation
            && slots[registration.slot].handler != nil
    }
}
