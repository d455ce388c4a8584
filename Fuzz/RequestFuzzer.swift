// SPDX-License-Identifier: Apache-2.0
// Compiled by `scripts/fuzz` together with the sources it exercises, so that all of them are instrumented.

/// One input is a stream as a client could send it: heads and bodies one behind the other. It is parsed twice, once as a
/// whole and once in pieces whose sizes come from the input; both must see the same requests.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 2 else { return 0 }
    let step = Int(data[0]) + 1
    let bytes = Array(UnsafeBufferPointer(start: data + 1, count: count - 1))
    let whole = Session(bytes, step: bytes.count).run()
    let cut = Session(bytes, step: step).run()
    precondition(whole == cut, "the outcome depends on how the bytes are cut")
    return 0
}

/// What a connection would make of the bytes.
struct Seen: Equatable {
    var requests: [[UInt8]] = []
    var bodies: [[UInt8]] = []
    var end = ""
}

struct Session {
    let bytes: [UInt8]
    let step: Int

    init(_ bytes: [UInt8], step: Int) {
        self.bytes = bytes
        self.step = step
    }

    func run() -> Seen {
        var seen = Seen()
        var start = 0
        while let length = head(from: start, &seen) {
            seen.requests.append(Array(bytes[start..<start + length.head]))
            start += length.head
            guard let body = body(length.decoder, from: &start, &seen) else { break }
            seen.bodies.append(body)
        }
        return seen
    }

    private func head(from start: Int, _ seen: inout Seen) -> (head: Int, decoder: BodyDecoder)? {
        var parser = RequestParser(limits: .init(maxRequestLineBytes: 256, maxHeaderBytes: 1024, maxFieldCount: 16))
        var available = start
        while available < bytes.count {
            available = min(available + step, bytes.count)
            switch bytes[start..<available].withUnsafeBytes({ parser.parse($0) }) {
            case .needMore: continue
            case .refused(let refusal):
                // Where a limit is noticed depends on what was there, so only the status is compared.
                seen.end = "refused \(refusal.status.code)"
                return nil
            case .complete(let length):
                precondition(length > 0 && start + length <= available, "a head outside its bytes")
                let parsed = parser.parsed
                for slice in [parsed.method, parsed.path] + parsed.fields.flatMap({ [$0.name, $0.value] }) {
                    precondition(slice.range.upperBound <= length, "a slice outside its head")
                }
                precondition(!(parsed.isChunked && parsed.contentLength != nil), "two framings")
                let decoder =
                    parsed.isChunked ? BodyDecoder(chunked: ()) : BodyDecoder(contentLength: parsed.contentLength)
                return (length, decoder)
            }
        }
        seen.end = "head unfinished"
        return nil
    }

    private func body(_ decoder: BodyDecoder, from start: inout Int, _ seen: inout Seen) -> [UInt8]? {
        var decoder = decoder
        var body: [UInt8] = []
        var available = start
        while true {
            let waiting = Array(bytes[start..<available])
            switch waiting.withUnsafeBytes({ decoder.next($0) }) {
            case .data(let range, let consumed):
                precondition(
                    range.upperBound <= consumed && consumed <= waiting.count && !range.isEmpty, "data out of bounds")
                body += waiting[range]
                start += consumed
            case .needMore(let consumed):
                precondition(consumed <= waiting.count, "consumed out of bounds")
                start += consumed
                guard available < bytes.count else {
                    seen.end = "body unfinished"
                    return nil
                }
                available = min(available + step, bytes.count)
            case .end(let consumed):
                precondition(consumed <= waiting.count, "consumed out of bounds")
                start += consumed
                return body
            case .broken(let problem):
                seen.end = "broken \(problem)"
                return nil
            }
        }
    }
}
