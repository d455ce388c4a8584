// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// Pages for what is not there and for what went wrong.
extension Console {
    /// Answers for paths that nobody serves and forms that are too large: with a page where a browser shows it, in the plain form of
    /// ``HTTPError`` else.
    func answer(_ error: any Error, _ request: HTTPRequest) -> HTTPResponse {
        guard let error = error as? HTTPError else { return begin(request).page(of: refusal(of: error, request)) }
        let isShown = [.get, .head, .post].contains(request.method)
        guard isShown, request.headers["accept"]?.contains("text/html") == true else { return error.response }
        if error.status == .methodNotAllowed, request.method != .post {
            // What forms are sent to is no page. A browser that is asked to load it again goes where the form was.
            let parent = request.path.split(separator: "/").dropLast().joined(separator: "/")
            return PageResponse.redirect("/\(parent)")
        }
        let visit = begin(request)
        var page = visit.finish(visit.page(of: PageRefusal(error), frame: .bare))
        for field in error.headers.fields { page.headers.append(field.name, field.value) }
        return page
    }

    /// The refusal that a page throws, or what is said of a failure, whose cause is for the log alone.
    func refusal(of error: any Error, _ request: HTTPRequest) -> PageRefusal {
        if let refusal = error as? PageRefusal { return refusal }
        if let error = error as? HTTPError { return PageRefusal(error) }
        log.error("page failed", .field("cause", String(describing: error)), .field("request_id", request.id))
        return PageRefusal(.internalServerError, .of(.pageFailed, request.id))
    }
}

extension Visit {
    /// The page that says why what was asked for is not done.
    func page(of refusal: PageRefusal, frame: Layout.Frame = .narrow) -> HTTPResponse {
        var visit = self
        visit.widget = nil
        let title: Message = refusal.status == .notFound ? .notFound : .somethingIsWrong
        return visit.page(title, frame, status: refusal.status) {
            Components.heading(.of(title))
            Components.notice(refusal.phrase, isGood: false)
            Markup(.p) {
                if request.method == .post, let form = sender {
                    Markup(.a, .class("button"), .href(form), text: .backToForm)
                } else {
                    Markup(.a, .class("button"), .href("/"), text: .backToStart)
                }
            }
        }
    }
}
