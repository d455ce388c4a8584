// SPDX-License-Identifier: Apache-2.0
// A product only where ATOLL_FUZZERS is set: `scripts/fuzz` builds it with all modules instrumented.
internal import HTTP

@testable internal import REST

private let configuration = {
    var configuration = RESTConfiguration()
    configuration.allowsAggregates = true
    configuration.showsPlans = true
    return configuration
}()

/// One input is a request (`FuzzedRequest` says how): whatever it is, it is refused in the protocol's own form or becomes a bounded
/// statement in which nothing of the client's stands bare.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let request = FuzzedRequest(Array(UnsafeBufferPointer(start: data, count: count)))
    if let problem = request.problem(configuration) { preconditionFailure(problem) }
    return 0
}
