// SPDX-License-Identifier: Apache-2.0
internal import HTTP

/// Why a page is not shown, or a form not taken: said on a page of its own, in the visitor's language.
struct PageRefusal: Error {
    let status: HTTPStatus
    let phrase: Phrase

    init(_ status: HTTPStatus, _ message: Message) { self.init(status, .of(message)) }

    init(_ status: HTTPStatus, _ phrase: Phrase) {
        self.status = status
        self.phrase = phrase
    }

    /// What a body that is too large, too slow or broken is refused with.
    init(_ error: HTTPError) {
        let phrase: Phrase =
            switch error.status {
            case .contentTooLarge: .of(.formIsTooLarge)
            case .notFound: .of(.noSuchPage)
            case .methodNotAllowed: .of(.notInThisWay)
            case .requestTimeout: .of(.formCameTooSlowly)
            default: .words(error.message)
            }
        self.init(error.status, phrase)
    }
}
