// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// A third-party key as somebody gives it: without the spaces and line ends around it that come along when one is copied, with
/// which no service takes it.
struct GivenKey: Sendable {
    /// Nil where nothing but white space was given.
    let secret: SecretString?

    /// - Parameter title: what the key is called in the error.
    /// - Throws: ``TenancyError`` with `invalidRequest` when it is longer than a key may be.
    init(_ text: String, _ title: String, _ configuration: TenancyConfiguration) throws(TenancyError) {
        var key = text[...]
        while key.first?.isWhitespace == true { key.removeFirst() }
        while key.last?.isWhitespace == true { key.removeLast() }
        guard key.utf8.count <= configuration.maxSecretBytes else {
            throw TenancyError(.invalidRequest, "\(title) must have at most \(configuration.maxSecretBytes) bytes")
        }
        secret = key.isEmpty ? nil : SecretString(String(key))
    }
}
