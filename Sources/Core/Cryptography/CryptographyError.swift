// SPDX-License-Identifier: Apache-2.0

/// Why a cryptographic operation gave no result. No case carries key material or plain text.
package enum CryptographyError: Error, Sendable, Hashable {
    /// The library refused an operation it never refuses for valid input, such as for want of memory.
    case libraryFailure(operation: String)
    /// A key has the wrong length or is none.
    case invalidKey
    /// The text is no envelope of a known version.
    case malformedEnvelope
    /// The envelope names a key that is not there, for instance one removed too early.
    case unknownKey(id: String)
    /// The tag does not fit: changed ciphertext, another key, or other associated data.
    case authenticationFailed
    /// bcrypt takes 72 bytes and no NUL byte.
    case passwordNotHashable
}
