# SPDX-License-Identifier: Apache-2.0
"""What the tests of Storage share: a project with policies, and how its server looks at its files."""

import asyncio
import pathlib

import psycopg

# Every user has a folder of their own in `files`; `open` is public to read, `images` takes pictures alone.
POLICIES = """
insert into storage.buckets (id, name, public) values ('files', 'files', false), ('open', 'open', true);
insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
values ('images', 'images', false, 1048576, array['image/*']);

create policy "own files" on storage.objects for all to authenticated
    using (bucket_id in ('files', 'open', 'images') and auth.uid()::text = (storage.foldername(name))[1])
    with check (bucket_id in ('files', 'open', 'images') and auth.uid()::text = (storage.foldername(name))[1]);
"""

# Phase 2 of the seed, word for word.
SEED = """
INSERT INTO storage.buckets (id, name, public)
VALUES ('session-transcripts', 'session-transcripts', false);
INSERT INTO storage.buckets (id, name, public)
VALUES ('audio-uploads', 'audio-uploads', false);
INSERT INTO storage.buckets (id, name, public)
VALUES ('avatars', 'avatars', true);
INSERT INTO storage.buckets (id, name, public)
VALUES ('resources', 'resources', false);

CREATE POLICY "Users can view own transcripts"
ON storage.objects FOR SELECT
USING (bucket_id = 'session-transcripts' AND auth.uid()::text = (storage.foldername(name))[1]);

CREATE POLICY "Users can upload own transcripts"
ON storage.objects FOR INSERT
WITH CHECK (bucket_id = 'session-transcripts' AND auth.uid()::text = (storage.foldername(name))[1]);

CREATE POLICY "Users can manage own audio"
ON storage.objects FOR ALL
USING (bucket_id = 'audio-uploads' AND auth.uid()::text = (storage.foldername(name))[1]);

CREATE POLICY "Avatars are publicly accessible"
ON storage.objects FOR SELECT
USING (bucket_id = 'avatars');

CREATE POLICY "Auth users can view resources"
ON storage.objects FOR SELECT
TO authenticated
USING (bucket_id = 'resources');
"""


def rows(server, sql, *parameters):
    """Runs a statement as the owner of the database."""
    with psycopg.connect(server.status["DB_URL"], autocommit=True) as connection:
        cursor = connection.execute(sql, parameters or None)
        return cursor.fetchall() if cursor.description else []


def stored_files(server):
    """Versions on the disk, with their sizes."""
    objects = pathlib.Path(server.folder) / ".atoll" / "storage" / "objects"
    return {file.name: file.stat().st_size for file in objects.glob("*/*")}


def stored_rows(server):
    """Versions in the table, with the sizes their metadata tell."""
    found = rows(server, "select version, (metadata ->> 'size')::bigint from storage.objects where version is not null")
    return dict(found)


def incoming_files(server):
    """What is being received, or was when the server was killed."""
    return sorted(file.name for file in (pathlib.Path(server.folder) / ".atoll" / "storage" / "incoming").iterdir())


class Sync:
    """Calls the blocking client and the asynchronous one alike."""

    def __init__(self, storage):
        self.storage = storage
        self.loop = None

    def __call__(self, call):
        return call(self.storage)


class Async:
    """Runs what the asynchronous client returns."""

    def __init__(self, storage, loop):
        self.storage = storage
        self.loop = loop

    def __call__(self, call):
        async def run():
            return await call(self.storage)

        return self.loop.run_until_complete(run())


def new_loop():
    return asyncio.new_event_loop()
