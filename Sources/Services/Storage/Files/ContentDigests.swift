// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import Primitives

/// The sums of content that passes by. MD5 always, as entity tags are made of it; others when somebody sent one to compare.
// @unchecked Sendable: its owner, an `IncomingFile`, uses it from one piece of work at a time.
final class ContentDigests: @unchecked Sendable {
    /// What can be asked for, by the names of the S3 protocol and of TUS.
    enum Algorithm: String, Sendable, CaseIterable {
        case md5, sha1, sha256, crc32, crc32c, crc64nvme
    }

    private var md5: IncrementalDigest?
    private var sha1: IncrementalDigest?
    private var sha256: IncrementalDigest?
    private var cyclic: [(algorithm: Algorithm, checksum: CyclicChecksum)] = []
    private var results: [Algorithm: [UInt8]]?

    /// - Parameter extra: further sums besides MD5.
    init(extra: Set<Algorithm> = []) throws(CryptographyError) {
        md5 = try IncrementalDigest(.md5)
        if extra.contains(.sha1) { sha1 = try IncrementalDigest(.sha1) }
        if extra.contains(.sha256) { sha256 = try IncrementalDigest(.sha256) }
        if extra.contains(.crc32) { cyclic.append((.crc32, CyclicChecksum(.crc32))) }
        if extra.contains(.crc32c) { cyclic.append((.crc32c, CyclicChecksum(.crc32c))) }
        if extra.contains(.crc64nvme) { cyclic.append((.crc64nvme, CyclicChecksum(.crc64nvme))) }
    }

    func update(_ bytes: UnsafeRawBufferPointer) {
        md5?.update(bytes)
        sha1?.update(bytes)
        sha256?.update(bytes)
        for index in cyclic.indices { cyclic[index].checksum.update(bytes) }
    }

    /// Ends the sums; further calls return the same.
    private func finished() -> [Algorithm: [UInt8]] {
        if let results { return results }
        var sums: [Algorithm: [UInt8]] = [:]
        sums[.md5] = md5.take()?.finish()
        sums[.sha1] = sha1.take()?.finish()
        sums[.sha256] = sha256.take()?.finish()
        for (algorithm, checksum) in cyclic { sums[algorithm] = checksum.bytes }
        results = sums
        return sums
    }

    /// The MD5 sum in lower-case hexadecimal digits: an entity tag without its quotes.
    var entityTag: String { Hex.encode(sum(.md5)) }

    /// The sum by an algorithm that was asked for at the beginning.
    func sum(_ algorithm: Algorithm) -> [UInt8] { finished()[algorithm] ?? [] }
}

/// A cyclic redundancy check with reflected bits, as zlib (CRC-32), iSCSI (CRC-32C) and NVMe (CRC-64) define theirs.
struct CyclicChecksum: Sendable {
    enum Polynomial: Sendable {
        case crc32, crc32c, crc64nvme
    }

    private let table: [UInt64]
    private let mask: UInt64
    private let byteCount: Int
    private var state: UInt64

    init(_ polynomial: Polynomial) {
        switch polynomial {
        case .crc32: (table, byteCount) = (Self.crc32Table, 4)
        case .crc32c: (table, byteCount) = (Self.crc32cTable, 4)
        case .crc64nvme: (table, byteCount) = (Self.crc64Table, 8)
        }
        mask = byteCount == 4 ? 0xFFFF_FFFF : .max
        state = mask
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        var sum = state
        table.withUnsafeBufferPointer { table in
            for byte in bytes { sum = (sum >> 8) ^ table[Int(UInt8(truncatingIfNeeded: sum) ^ byte)] }
        }
        state = sum
    }

    /// The sum so far in network order.
    var bytes: [UInt8] {
        let sum = (state ^ mask) & mask
        return (0..<byteCount).map { UInt8(truncatingIfNeeded: sum >> UInt64(8 * (byteCount - 1 - $0))) }
    }

    private static let crc32Table = makeTable(0xEDB8_8320)
    private static let crc32cTable = makeTable(0x82F6_3B78)
    private static let crc64Table = makeTable(0x9A6C_9329_AC4B_C9B5)

    private static func makeTable(_ polynomial: UInt64) -> [UInt64] {
        (0..<256).map { number in
            var value = UInt64(number)
            for _ in 0..<8 { value = value & 1 == 1 ? (value >> 1) ^ polynomial : value >> 1 }
            return value
        }
    }
}
