// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import Primitives

/// An elliptic-curve or RSA key that signs JWTs when it has its private part.
///
/// `@unchecked Sendable`: the `EVP_PKEY` is never changed after init, and OpenSSL's keys may be read from any thread.
final class PublicKeyPair: @unchecked Sendable {
    private enum Kind {
        case p256
        case rsa
    }

    /// Bytes of a coordinate, and of each half of a signature, on P-256.
    private static let p256ByteCount = 32

    private let key: OpaquePointer
    private let kind: Kind
    /// `kty` and what goes with it, without private members.
    let publicMembers: JSONObject
    let isPrivate: Bool

    init(ellipticCurveJWK jwk: JSON) throws(CryptographyError) {
        guard jwk["crv"] == "P-256", let x = Self.bytes("x", in: jwk), let y = Self.bytes("y", in: jwk),
            x.count == Self.p256ByteCount, y.count == Self.p256ByteCount
        else { throw .invalidKey }
        var parameters = try KeyParameters()
        try parameters.add(OSSL_PKEY_PARAM_GROUP_NAME, text: "prime256v1")
        try parameters.add(OSSL_PKEY_PARAM_PUB_KEY, bytes: [4] + x + y)
        isPrivate = jwk["d"] != nil
        if isPrivate {
            guard let d = Self.bytes("d", in: jwk), d.count == Self.p256ByteCount else { throw .invalidKey }
            try parameters.add(OSSL_PKEY_PARAM_PRIV_KEY, number: d)
        }
        key = try parameters.makeKey(algorithm: "EC", isPrivate: isPrivate)
        kind = .p256
        publicMembers = [
            "kty": "EC", "crv": "P-256", "x": .string(Base64URL.encode(x)), "y": .string(Base64URL.encode(y)),
        ]
    }

    init(rsaJWK jwk: JSON) throws(CryptographyError) {
        guard let n = Self.bytes("n", in: jwk), let e = Self.bytes("e", in: jwk), (256...1024).contains(n.count),
            (1...8).contains(e.count)
        else { throw .invalidKey }
        var parameters = try KeyParameters()
        try parameters.add(OSSL_PKEY_PARAM_RSA_N, number: n)
        try parameters.add(OSSL_PKEY_PARAM_RSA_E, number: e)
        isPrivate = jwk["d"] != nil
        if isPrivate {
            guard let d = Self.bytes("d", in: jwk) else { throw .invalidKey }
            try parameters.add(OSSL_PKEY_PARAM_RSA_D, number: d)
            let factors = Self.rsaFactors.compactMap { name, parameter in
                Self.bytes(name, in: jwk).map { (parameter, $0) }
            }
            if factors.count == Self.rsaFactors.count {
                for (parameter, number) in factors { try parameters.add(parameter, number: number) }
            }
        }
        key = try parameters.makeKey(algorithm: "RSA", isPrivate: isPrivate)
        kind = .rsa
        publicMembers = ["kty": "RSA", "n": .string(Base64URL.encode(n)), "e": .string(Base64URL.encode(e))]
    }

    deinit {
        EVP_PKEY_free(key)
    }

    /// What makes signing four times as fast as by `d` alone; all or none of them. OpenSSL's names for them are macros that
    /// Swift cannot see.
    static let rsaFactors: [(name: String, parameter: String)] = [
        ("p", "rsa-factor1"), ("q", "rsa-factor2"), ("dp", "rsa-exponent1"), ("dq", "rsa-exponent2"),
        ("qi", "rsa-coefficient1"),
    ]

    private static func bytes(_ name: String, in jwk: JSON) -> [UInt8]? {
        jwk[name]?.stringValue.flatMap(Base64URL.decode)
    }

    // MARK: Signatures

    /// An RSASSA-PKCS1-v1_5 signature, or the two halves of an ECDSA one (RFC 7518 section 3.4), both over SHA-256.
    func sign(_ message: [UInt8]) throws(CryptographyError) -> [UInt8] {
        guard isPrivate else { throw .invalidKey }
        guard let context = EVP_MD_CTX_new() else { throw .libraryFailure(operation: "EVP_MD_CTX_new") }
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestSignInit(context, nil, EVP_sha256(), nil, key) == 1 else {
            throw .libraryFailure(operation: "EVP_DigestSignInit")
        }
        var count = 0
        guard EVP_DigestSign(context, nil, &count, message, message.count) == 1 else {
            throw .libraryFailure(operation: "EVP_DigestSign")
        }
        var signature = [UInt8](repeating: 0, count: count)
        guard EVP_DigestSign(context, &signature, &count, message, message.count) == 1 else {
            throw .libraryFailure(operation: "EVP_DigestSign")
        }
        signature.removeLast(signature.count - count)
        switch kind {
        case .rsa: return signature
        case .p256: return try Self.halves(ofDER: signature)
        }
    }

    func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        let encoded: [UInt8]
        switch kind {
        case .rsa: encoded = signature
        case .p256:
            guard let der = Self.der(ofHalves: signature, byteCount: Self.p256ByteCount) else { return false }
            encoded = der
        }
        guard let context = EVP_MD_CTX_new() else { return false }
        defer {
            EVP_MD_CTX_free(context)
            // A refused signature leaves its reason in the thread's queue, where it would mislead the next caller.
            ERR_clear_error()
        }
        return EVP_DigestVerifyInit(context, nil, EVP_sha256(), nil, key) == 1
            && EVP_DigestVerify(context, encoded, encoded.count, message, message.count) == 1
    }

    private static func halves(ofDER der: [UInt8]) throws(CryptographyError) -> [UInt8] {
        let halves = der.withUnsafeBufferPointer { buffer -> [UInt8]? in
            var position = buffer.baseAddress
            guard let signature = d2i_ECDSA_SIG(nil, &position, buffer.count) else { return nil }
            defer { ECDSA_SIG_free(signature) }
            var r = [UInt8](repeating: 0, count: p256ByteCount)
            var s = r
            guard BN_bn2binpad(ECDSA_SIG_get0_r(signature), &r, Int32(r.count)) == r.count,
                BN_bn2binpad(ECDSA_SIG_get0_s(signature), &s, Int32(s.count)) == s.count
            else { return nil }
            return r + s
        }
        guard let halves else { throw .libraryFailure(operation: "d2i_ECDSA_SIG") }
        return halves
    }

    /// The DER form of a signature's two halves of `byteCount` bytes each.
    static func der(ofHalves halves: [UInt8], byteCount: Int) -> [UInt8]? {
        guard halves.count == 2 * byteCount, let signature = ECDSA_SIG_new() else { return nil }
        defer { ECDSA_SIG_free(signature) }
        let r = BN_bin2bn(halves, Int32(byteCount), nil)
        let s = BN_bin2bn(Array(halves.dropFirst(byteCount)), Int32(byteCount), nil)
        // From here the signature owns both numbers.
        guard let r, let s, ECDSA_SIG_set0(signature, r, s) == 1 else {
            BN_free(r)
            BN_free(s)
            return nil
        }
        var encoded: UnsafeMutablePointer<UInt8>?
        let count = i2d_ECDSA_SIG(signature, &encoded)
        guard count > 0, let encoded else { return nil }
        defer { CRYPTO_free(encoded, "", 0) }
        return Array(UnsafeBufferPointer(start: encoded, count: Int(count)))
    }
}

/// Collects the numbers a key is made of and owns them until it is made.
struct KeyParameters: ~Copyable {
    private let builder: OpaquePointer
    // The builder only borrows numbers, and strings too, until the parameters are made.
    private var numbers: [OpaquePointer] = []
    private var buffers: [UnsafeMutableRawBufferPointer] = []

    init() throws(CryptographyError) {
        guard let builder = OSSL_PARAM_BLD_new() else { throw .libraryFailure(operation: "OSSL_PARAM_BLD_new") }
        self.builder = builder
    }

    deinit {
        OSSL_PARAM_BLD_free(builder)
        for number in numbers { BN_clear_free(number) }
        for buffer in buffers { buffer.deallocate() }
    }

    mutating func add(_ name: String, text: String) throws(CryptographyError) {
        let buffer = keep(Array(text.utf8) + [0])
        let status = OSSL_PARAM_BLD_push_utf8_string(
            builder, keepName(name), buffer.assumingMemoryBound(to: CChar.self).baseAddress, 0)
        guard status == 1 else { throw .invalidKey }
    }

    mutating func add(_ name: String, bytes: [UInt8]) throws(CryptographyError) {
        let buffer = keep(bytes)
        guard OSSL_PARAM_BLD_push_octet_string(builder, keepName(name), buffer.baseAddress, buffer.count) == 1 else {
            throw .invalidKey
        }
    }

    mutating func add(_ name: String, number: [UInt8]) throws(CryptographyError) {
        guard let value = BN_bin2bn(number, Int32(number.count), nil) else {
            throw .libraryFailure(operation: "BN_bin2bn")
        }
        numbers.append(value)
        guard OSSL_PARAM_BLD_push_BN(builder, keepName(name), value) == 1 else { throw .invalidKey }
    }

    func makeKey(algorithm: String, isPrivate: Bool) throws(CryptographyError) -> OpaquePointer {
        defer { ERR_clear_error() }
        guard let parameters = OSSL_PARAM_BLD_to_param(builder) else { throw .invalidKey }
        defer { OSSL_PARAM_free(parameters) }
        guard let context = EVP_PKEY_CTX_new_from_name(nil, algorithm, nil) else {
            throw .libraryFailure(operation: "EVP_PKEY_CTX_new_from_name")
        }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_fromdata_init(context) == 1,
            EVP_PKEY_fromdata(context, &key, isPrivate ? copenssl_pkey_keypair : copenssl_pkey_public_key, parameters)
                == 1,
            let key
        else { throw .invalidKey }
        guard Self.isSound(key) else {
            EVP_PKEY_free(key)
            throw .invalidKey
        }
        return key
    }

    /// Whether the public part is a point of the curve or a sensible modulus; OpenSSL does not check that by itself.
    private static func isSound(_ key: OpaquePointer) -> Bool {
        guard let context = EVP_PKEY_CTX_new(key, nil) else { return false }
        defer { EVP_PKEY_CTX_free(context) }
        return EVP_PKEY_public_check(context) == 1
    }

    private mutating func keep(_ bytes: [UInt8]) -> UnsafeMutableRawBufferPointer {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        buffer.copyBytes(from: bytes)
        buffers.append(buffer)
        return buffer
    }

    private mutating func keepName(_ name: String) -> UnsafePointer<CChar>? {
        UnsafePointer(keep(Array(name.utf8) + [0]).assumingMemoryBound(to: CChar.self).baseAddress)
    }
}
