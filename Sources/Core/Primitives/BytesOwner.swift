// SPDX-License-Identifier: Apache-2.0

/// Owns bytes and lends them to a closure, so that a cell of a database result or an embedded asset reaches the
/// network without a copy.
package protocol BytesOwner: Sendable {
    /// How many bytes are lent.
    var byteCount: Int { get }

    /// Lends the bytes; the pointer is valid only inside `body`.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result
}

extension [UInt8]: BytesOwner {
    package var byteCount: Int { count }

    package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withUnsafeBytes(body)
    }
}
