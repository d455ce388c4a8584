// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// The hash functions the services use: those of FIPS 180-4, and MD5, which entity tags of S3 are made of and which protects
/// nothing.
package enum DigestAlgorithm: Sendable, CaseIterable {
    case md5
    /// For TOTP (RFC 6238) and lists of leaked passwords, which are made with it; for nothing new.
    case sha1
    case sha224
    case sha256
    case sha384
    case sha512

    /// Bytes in a digest.
    package var byteCount: Int {
        switch self {
        case .md5: 16
        case .sha1: 20
        case .sha224: 28
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        }
    }

    var function: OpaquePointer? {
        switch self {
        case .md5: EVP_md5()
        case .sha1: EVP_sha1()
        case .sha224: EVP_sha224()
        case .sha256: EVP_sha256()
        case .sha384: EVP_sha384()
        case .sha512: EVP_sha512()
        }
    }
}

/// The digest of bytes at hand.
package func digest(_ bytes: some Collection<UInt8>, using algorithm: DigestAlgorithm = .sha256) -> [UInt8] {
    let input = Array(bytes)
    var output = [UInt8](repeating: 0, count: algorithm.byteCount)
    let status = EVP_Digest(input, input.count, &output, nil, algorithm.function, nil)
    precondition(status == 1, "OpenSSL has no \(algorithm)")
    return output
}

/// A digest of bytes that arrive piece by piece.
package struct IncrementalDigest: ~Copyable {
    private let context: OpaquePointer
    private let algorithm: DigestAlgorithm

    package init(_ algorithm: DigestAlgorithm = .sha256) throws(CryptographyError) {
        guard let context = EVP_MD_CTX_new() else { throw .libraryFailure(operation: "EVP_MD_CTX_new") }
        guard EVP_DigestInit_ex(context, algorithm.function, nil) == 1 else {
            EVP_MD_CTX_free(context)
            throw .libraryFailure(operation: "EVP_DigestInit_ex")
        }
        self.context = context
        self.algorithm = algorithm
    }

    deinit {
        EVP_MD_CTX_free(context)
    }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        precondition(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1, "EVP_DigestUpdate failed")
    }

    package consuming func finish() -> [UInt8] {
        var output = [UInt8](repeating: 0, count: algorithm.byteCount)
        precondition(EVP_DigestFinal_ex(context, &output, nil) == 1, "EVP_DigestFinal_ex failed")
        return output
    }
}
