#include "replication/durable_note.h"

#include <cstddef>
#include <span>

#include "base/crc32c.h"

namespace verbex::replication {

namespace {

constexpr uint64_t kNoteMagic = 0x3130544F4E584256;  // "VBXNOT01" in file order

struct NoteFile {
    uint64_t magic = kNoteMagic;
    uint64_t position = 0;
    Digest128 digest;
    uint64_t reserved = 0;
    uint32_t reserved2 = 0;
    uint32_t crc = 0;  // over the 44 bytes before it
};
static_assert(sizeof(NoteFile) == 48 && offsetof(NoteFile, crc) == 44);

}  // namespace

Result<std::optional<DurableNote>> readNote(journal::Storage& storage, const std::string& data,
                                            const char* name) {
    Result<std::unique_ptr<journal::File>> file =
        storage.open(journal::joinPath(data, name), journal::FileMode::Read);
    if (!file.isOk()) {
        if (file.status().code() == StatusCode::NotFound) return std::optional<DurableNote>();
        return file.status();
    }
    NoteFile found;
    Result<size_t> read = file.value()->pread(0, std::as_writable_bytes(std::span(&found, 1)));
    if (!read.isOk()) return read.status();
    if (read.value() != sizeof(found) || found.magic != kNoteMagic ||
        found.crc != crc32c(&found, offsetof(NoteFile, crc))) {
        return Status(StatusCode::JournalDamaged,
                      "the note " + journal::joinPath(data, name) + " is damaged");
    }
    // It was named just before a crash, perhaps, and whoever reads it will act on it.
    VERBEX_RETURN_IF_FAILED(storage.syncDirectory(data));
    return std::optional<DurableNote>({found.position, found.digest});
}

Status writeNote(journal::Storage& storage, const std::string& data, const char* name,
                 const DurableNote& note) {
    const std::string path = journal::joinPath(data, name);
    const std::string temporary = path + ".tmp";
    if (Status removed = storage.remove(temporary);
        !removed.isOk() && removed.code() != StatusCode::NotFound) {
        return removed;
    }
    NoteFile content;
    content.position = note.position;
    content.digest = note.digest;
    content.crc = crc32c(&content, offsetof(NoteFile, crc));
    {
        Result<std::unique_ptr<journal::File>> file =
            storage.create(temporary, journal::FileMode::Buffered);
        if (!file.isOk()) return file.status();
        VERBEX_RETURN_IF_FAILED(
            file.value()->pwrite(0, std::as_bytes(std::span(&content, 1))));
        VERBEX_RETURN_IF_FAILED(file.value()->sync());
    }
    VERBEX_RETURN_IF_FAILED(storage.rename(temporary, path));
    return storage.syncDirectory(data);
}

Status removeNote(journal::Storage& storage, const std::string& data, const char* name) {
    Status removed = storage.remove(journal::joinPath(data, name));
    if (removed.code() == StatusCode::NotFound) return {};
    VERBEX_RETURN_IF_FAILED(removed);
    return storage.syncDirectory(data);
}

}  // namespace verbex::replication
