// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Blocks of memory for input and output, kept for reuse, so that an idle connection owns none. Loop-confined.
final class BlockPool {
    static let blockBytes = 16 << 10
    private static let maxKept = 512
    private var kept: [UnsafeMutableRawPointer] = []

    func take() -> UnsafeMutableRawPointer {
        kept.popLast() ?? .allocate(byteCount: Self.blockBytes, alignment: 16)
    }

    func give(_ block: UnsafeMutableRawPointer) {
        if kept.count < Self.maxKept { kept.append(block) } else { block.deallocate() }
    }

    deinit { for block in kept { block.deallocate() } }
}

/// Received bytes that were not used yet. Its owner calls `release` before it goes. Loop-confined.
struct InputBuffer {
    private var base: UnsafeMutableRawPointer?
    private var capacity = 0
    private var start = 0
    private var end = 0

    var isEmpty: Bool { start == end }
    var count: Int { end - start }

    /// The unused bytes; valid until the buffer changes.
    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base.map { UnsafeRawPointer($0 + start) }, count: end - start)
    }

    mutating func consume(_ count: Int) {
        start += count
        if start == end {
            start = 0
            end = 0
        }
    }

    mutating func discard() {
        start = 0
        end = 0
    }

    /// Room for at least one byte behind the unused ones.
    mutating func room(from pool: BlockPool) -> UnsafeMutableRawBufferPointer {
        if base == nil {
            base = pool.take()
            capacity = BlockPool.blockBytes
        }
        if end == capacity {
            if start > 0 { compact() } else { grow(pool) }
        }
        return UnsafeMutableRawBufferPointer(start: base.map { $0 + end }, count: capacity - end)
    }

    mutating func filled(_ count: Int) { end += count }

    /// Gives the memory back when nothing is in it.
    mutating func releaseIfEmpty(to pool: BlockPool) {
        if isEmpty { release(to: pool) }
    }

    mutating func release(to pool: BlockPool) {
        guard let base else { return }
        if capacity == BlockPool.blockBytes { pool.give(base) } else { base.deallocate() }
        self.base = nil
        capacity = 0
        discard()
    }

    private mutating func compact() {
        guard let base else { return }
        memmove(base, base + start, end - start)
        end -= start
        start = 0
    }

    /// Only heads make a buffer grow, and the parser refuses one long before this is large.
    private mutating func grow(_ pool: BlockPool) {
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity * 2, alignment: 16)
        if let base {
            memcpy(larger, base, end)
            if capacity == BlockPool.blockBytes { pool.give(base) } else { base.deallocate() }
        }
        base = larger
        capacity *= 2
    }
}
