// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// What a person says of themselves, and their picture.
extension Console {
    func registerProfile(on router: inout Router) {
        let bytes = Self.maxFormBytes
        router.on(.get, "/settings", forMembers { visit, person in profilePage(visit, person) })
        router.on(.post, "/settings/profile", maxBodyBytes: bytes, forMembers(saveProfile))
        router.on(.post, "/settings/avatar", maxBodyBytes: Self.maxPictureBytes + bytes, forMembers(savePicture))
        router.on(.post, "/settings/avatar/remove", maxBodyBytes: bytes, forMembers(removePicture))
        router.on(.get, "/avatar/:user", forMembers(picture))
    }

    private func profilePage(_ visit: Visit, _ person: Person, _ outcome: Outcome? = nil) -> HTTPResponse {
        var state = outcome.state("profile")
        for name in ["full_name", "company_name"] where state.values[name] == nil {
            state.values[name] = person.profile?[name]?.stringValue ?? ""
        }
        return settingsPage(visit, .profile, .profileText, status: outcome?.status ?? .ok) {
            Components.section("picture", .picture) {
                outcome.notice("picture")
                Markup(.div, .class("picture")) {
                    Components.avatar(person.avatarPath, person.name, isLarge: true)
                    // The token stands in the address because the body is Storage's to read.
                    Markup(
                        .form, .method("post"), .enctype("multipart/form-data"),
                        .action("/settings/avatar?\(FormGuard.fieldName)=\(visit.formToken)")
                    ) {
                        Markup(.div, .class("field")) {
                            Markup(.label, .for("file"), text: .newPicture)
                            Markup(
                                .input, .type("file"), .id("file"), .name("file"), .required(),
                                .accept("image/png,image/jpeg,image/webp,image/gif"),
                                .aria("describedby", "file-hint"), .hook("max-bytes", "\(Self.maxPictureBytes)"),
                                .hook("too-large", .of(.pictureIsTooLarge)))
                            Markup(.p, .id("file-hint"), .class("hint"), text: .pictureHint)
                        }
                        Form.button(.upload)
                    }
                    if person.avatarPath != nil {
                        Form.action("/settings/avatar/remove", .removePicture, token: visit.formToken)
                    }
                }
            }
            Components.section("person", .aboutYou) {
                outcome.notice("profile")
                Markup(.form, .method("post"), .action("/settings/profile")) {
                    Form.token(visit.formToken)
                    Form.field("full_name", .name, .optional(200, autocomplete: "name"), state: state)
                    Form.field("company_name", .company, .optional(200, autocomplete: "organization"), state: state)
                    Form.button(.saveProfile)
                }
            }
        }
    }

    private func saveProfile(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        var body: JSONObject = [:]
        var values: [String: String] = [:]
        for name in ["full_name", "company_name"] {
            body[name] = .string(form.first(name) ?? "")
            values[name] = form.first(name) ?? ""
        }
        let answer = await visit.call(.patch, "/api/user/profile", .object(body))
        guard answer.isSuccess else {
            return profilePage(visit, person, Outcome("profile", answer, values: values))
        }
        return PageResponse.redirect(SettingsSection.profile.path(done: .profileSaved))
    }

    // MARK: Picture

    static let pictureBucket = "atoll-pictures"
    private static let maxPictureBytes = 1 << 20

    private static func pictureObject(_ user: String) -> String {
        "/storage/v1/object/\(pictureBucket)/\(segment(user))/avatar"
    }

    /// Hands the file on to Storage as the visitor, whose policies say whose folder it is. The bucket is made with the first picture
    /// of the project.
    private func savePicture(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let body = try await visit.upload()
        let headers: HTTPHeaders = [
            "Content-Type": visit.request.headers["content-type"] ?? "", "x-upsert": "true",
        ]
        func send() async -> ConsoleAPI.Answer {
            let response = await api.fetch(
                .post, Self.pictureObject(person.id), token: visit.session?.accessToken, headers: headers, body: body,
                for: visit.request)
            return ConsoleAPI.Answer(status: response.status.code, body: ConsoleAPI.json(response))
        }
        var answer = await send()
        if !answer.isSuccess, answer.body?["error"]?.stringValue == "Bucket not found" {
            await makePictureBucket(visit)
            answer = await send()
        }
        if answer.isSuccess {
            // The address changes with the picture, so that browsers ask for the new one.
            answer = await visit.call(
                .patch, "/api/user/profile",
                ["avatar_url": .string("/avatar/\(person.id)?v=\(Timestamp.now().unixSeconds)")])
        }
        guard answer.isSuccess else { return profilePage(visit, person, Outcome("picture", answer)) }
        return PageResponse.redirect(SettingsSection.profile.path(done: .pictureSaved))
    }

    private func makePictureBucket(_ visit: Visit) async {
        _ = await api.makeBucket(
            [
                "id": .string(Self.pictureBucket), "name": .string(Self.pictureBucket), "public": false,
                "file_size_limit": JSON(Self.maxPictureBytes),
                "allowed_mime_types": ["image/png", "image/jpeg", "image/webp", "image/gif"],
            ], for: visit.request)
    }

    private func removePicture(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        _ = try await visit.form(ofTenant: false)
        _ = await visit.call(.delete, Self.pictureObject(person.id))
        let answer = await visit.call(.patch, "/api/user/profile", ["avatar_url": ""])
        guard answer.isSuccess else { return profilePage(visit, person, Outcome("picture", answer)) }
        return PageResponse.redirect(SettingsSection.profile.path(done: .pictureRemoved))
    }

    /// One's own picture, or that of a member of the same tenant, as Storage's policies have it.
    private func picture(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        var response = await api.fetch(
            .get, Self.pictureObject(visit.request.parameters["user"] ?? ""), token: visit.session?.accessToken,
            for: visit.request)
        guard response.status == .ok, response.headers["content-type"]?.hasPrefix("image/") == true else {
            throw PageRefusal(.notFound, .noSuchPicture)
        }
        response.headers.set("Cache-Control", "private, max-age=3600")
        response.headers.set("X-Content-Type-Options", "nosniff")
        response.headers.set("Content-Security-Policy", "default-src 'none'; sandbox")
        return response
    }
}
