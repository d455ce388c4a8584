// SPDX-License-Identifier: Apache-2.0
package import HTTP

/// Where the content of objects is kept: files named by versions, which are written once and never changed.
///
/// A version is an identifier of the server's own making, so no name a client chose ever reaches a store.
package protocol ObjectStore: Sendable {
    /// Takes a finished file over as the content of a version. Durable once it returns; the file is gone from its place.
    func adopt(_ path: String, as version: String, byteCount: Int) async throws
    /// A stretch of a version's content, ready to be sent.
    ///
    /// - Throws: ``ObjectStoreError/missing``.
    func body(of version: String, _ range: Range<Int>) async throws -> HTTPResponse.Body
    /// Hands out a stretch of a version's content piece by piece, at the taker's pace.
    func read(_ version: String, _ range: Range<Int>, _ take: ([UInt8]) async throws -> Void) async throws
    /// Gives a new version the content of another. Durable once it returns.
    func copy(_ version: String, to newVersion: String) async throws
    /// Removes versions; one that is not there is no error.
    func remove(_ versions: [String]) async throws
    /// The size of a version's content in bytes; nil when there is none.
    func byteCount(of version: String) async throws -> Int?
    /// What is stored, by version, from behind `after` in the order of versions; at most `limit`.
    func list(after: String?, limit: Int) async throws -> [StoredFile]
}

/// One stored version.
package struct StoredFile: Sendable, Hashable {
    package var version: String
    package var byteCount: Int
    /// Seconds since 1970.
    package var modifiedAt: Int

    package init(version: String, byteCount: Int, modifiedAt: Int) {
        self.version = version
        self.byteCount = byteCount
        self.modifiedAt = modifiedAt
    }
}

/// Why a store did not do something; for the log.
package enum ObjectStoreError: Error, Sendable {
    /// It has no such version.
    case missing
    /// It has as much to do as it may.
    case overloaded
    case failed(String)
}
