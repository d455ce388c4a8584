// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The arrays libpq takes parameters in, reused for every statement of a connection so that sending allocates nothing.
///
/// Text parameters must end in a NUL byte; they are copied here once and libpq copies them into its output buffer.
final class ParameterBuffer {
    private(set) var values: UnsafeMutablePointer<UnsafePointer<CChar>?>
    private(set) var lengths: UnsafeMutablePointer<Int32>
    private(set) var formats: UnsafeMutablePointer<Int32>
    private(set) var count = 0
    private(set) var hasBinary = false
    private var capacity = 16
    private var bytes: UnsafeMutableRawPointer
    private var byteCapacity = 4096
    /// A buffer that a large body has stretched beyond this is given back after use.
    private static let maxKeptBytes = 1 << 20

    init() {
        values = .allocate(capacity: capacity)
        lengths = .allocate(capacity: capacity)
        formats = .allocate(capacity: capacity)
        bytes = .allocate(byteCount: byteCapacity, alignment: 1)
    }

    deinit {
        values.deallocate()
        lengths.deallocate()
        formats.deallocate()
        bytes.deallocate()
    }

    /// Lays out the parameters of a query.
    func load(_ parameters: [PostgresParameter]) {
        reserve(parameters.count, parameters.reduce(0) { $0 + $1.byteCount + 1 })
        count = 0
        hasBinary = false
        var offset = 0
        for parameter in parameters {
            switch parameter.value {
            case .null: addNull()
            case .text(let text): add(text, &offset)
            case .bytes(let array): array.withUnsafeBytes { add($0, format: 0, &offset) }
            case .binary(let array):
                hasBinary = true
                array.withUnsafeBytes { add($0, format: 1, &offset) }
            }
        }
    }

    /// Lays out names and values of settings, which are the preamble's parameters.
    func load(settings: [(name: String, value: String)]) {
        reserve(settings.count * 2, settings.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 2 })
        count = 0
        hasBinary = false
        var offset = 0
        for setting in settings {
            add(setting.name, &offset)
            add(setting.value, &offset)
        }
    }

    /// Gives back what an unusually large statement took.
    func trim() {
        guard byteCapacity > Self.maxKeptBytes else { return }
        bytes.deallocate()
        byteCapacity = 4096
        bytes = .allocate(byteCount: byteCapacity, alignment: 1)
    }

    private func addNull() {
        values[count] = nil
        lengths[count] = 0
        formats[count] = 0
        count += 1
    }

    private func add(_ text: String, _ offset: inout Int) {
        var text = text
        text.withUTF8 { add(UnsafeRawBufferPointer($0), format: 0, &offset) }
    }

    private func add(_ source: UnsafeRawBufferPointer, format: Int32, _ offset: inout Int) {
        let target = bytes + offset
        if let baseAddress = source.baseAddress { memcpy(target, baseAddress, source.count) }
        target.storeBytes(of: 0, toByteOffset: source.count, as: UInt8.self)
        values[count] = UnsafePointer(target.assumingMemoryBound(to: CChar.self))
        lengths[count] = Int32(clamping: source.count)
        formats[count] = format
        offset += source.count + 1
        count += 1
    }

    private func reserve(_ parameterCount: Int, _ byteCount: Int) {
        if parameterCount > capacity {
            values.deallocate()
            lengths.deallocate()
            formats.deallocate()
            capacity = parameterCount
            values = .allocate(capacity: capacity)
            lengths = .allocate(capacity: capacity)
            formats = .allocate(capacity: capacity)
        }
        if byteCount > byteCapacity {
            bytes.deallocate()
            byteCapacity = max(byteCount, byteCapacity * 2)
            bytes = .allocate(byteCount: byteCapacity, alignment: 1)
        }
    }
}

extension PostgresParameter {
    fileprivate var byteCount: Int {
        switch value {
        case .null: 0
        case .text(let text): text.utf8.count
        case .bytes(let bytes), .binary(let bytes): bytes.count
        }
    }
}
