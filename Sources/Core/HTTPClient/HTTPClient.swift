// SPDX-License-Identifier: Apache-2.0
package import EventLoop

/// Makes HTTP requests and hands mail to SMTP servers, through libcurl driven by the loops.
///
/// Use it from tasks of its loops; a transfer stays on the loop of its task, and so do the connections kept for later ones. TLS
/// certificates are always verified. Names are looked up on threads of libcurl's own, one for each look-up under way.
package final class HTTPClient: Sendable {
    package let configuration: HTTPClientConfiguration
    private let sets: [TransferSet]

    /// - Parameter loops: where it can be used; at least one.
    /// - Throws: ``HTTPClientError`` when libcurl cannot be initialised.
    package init(
        _ configuration: HTTPClientConfiguration = HTTPClientConfiguration(), loops: [Loop]
    ) throws(HTTPClientError) {
        precondition(!loops.isEmpty, "a client needs a loop")
        self.configuration = configuration
        var sets: [TransferSet] = []
        for loop in loops { sets.append(try TransferSet(configuration, loop: loop)) }
        self.sets = sets
    }

    /// Makes a request and reads the response to its end. Cancelling the task closes the connection.
    ///
    /// - Returns: the response, also with a status of 400 and more.
    /// - Throws: ``HTTPClientError`` when there is no complete response.
    package func send(_ request: HTTPClientRequest) async throws(HTTPClientError) -> HTTPClientResponse {
        let transfer = try Transfer(request, configuration)
        return try await currentSet().run(transfer).get()
    }

    /// Hands a mail to a server, which has then taken responsibility for it.
    ///
    /// - Parameters:
    ///   - message: the whole message (RFC 5322) with CR LF line ends; dots are stuffed here.
    ///   - sender: the envelope's sender, an ASCII address; empty for none (`<>`).
    ///   - recipients: the envelope's recipients, ASCII addresses, at least one. Refusing one refuses the mail.
    /// - Throws: ``HTTPClientError`` with `mailDeferred`, `mailRefused`, `loginRefused` or what keeps from reaching the server. After a
    ///   `timeout` or `connectionLost` the server may have taken it all the same.
    package func send(
        mail message: [UInt8], from sender: String, to recipients: [String], through server: SMTPServer
    ) async throws(HTTPClientError) {
        let transfer = try Transfer(
            mail: message, from: sender, to: recipients, through: server, configuration)
        _ = try await currentSet().run(transfer).get()
    }

    private func currentSet() throws(HTTPClientError) -> TransferSet {
        guard let loop = Loop.current, let set = sets.first(where: { $0.loop === loop }) else {
            throw HTTPClientError(.misuse, "a client is used from the tasks of its loops")
        }
        return set
    }

    /// Ends all transfers with an error and closes all connections. To be called before the loops end.
    package func shutdown() async {
        await withDiscardingTaskGroup { group in
            for set in sets { group.addTask(executorPreference: set.loop) { set.shutdown() } }
        }
    }
}
