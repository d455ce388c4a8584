// SPDX-License-Identifier: Apache-2.0

/// The bounds of Tenancy.
package struct TenancyConfiguration: Sendable {
    /// The longest body of a request, in bytes.
    package var maxBodyBytes = 64 << 10
    /// The longest API key that is kept, in bytes; at most ``secretByteLimit``.
    package var maxSecretBytes = 8192

    /// What the database has room for once it is sealed.
    package static let secretByteLimit = 11_000

    package init() {}
}
