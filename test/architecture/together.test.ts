import { describe, expect, test } from 'vitest';
import { readTree, type SourceFile } from './files.ts';

// Four sources of a room, but for the addon's, are compiled as one text (scripts/steps/objects.mjs). Two that give one name to different
// things of their own do not compile there, or, worse, one of them silently gets the other's overload. So what a source keeps in an unnamed
// namespace has a name that no other source of its room declares.

const notDeclared = /^(?:[\s}#/)]|namespace\b|static_assert\b|template\b|public:|private:|protected:)/;
const type = /^(?:class|struct|union|enum(?: class)?|using|concept)\s+(\w+)\b(?!::)/;
const functionOrVariable = /^[\w:<>,&*() ]*?[ *&](\w+)(?:\(|\[|\{|;| =|$)/;

/** What a line begins to declare at the margin: a type, a function that is no class's, or a variable. */
function declaredIn(line: string): string | undefined {
  if (notDeclared.test(line)) return undefined;
  return (type.exec(line) ?? functionOrVariable.exec(line))?.[1];
}

/** The names at the margin of a source: those of its unnamed namespaces, and the others. */
function namesOf(text: string): { own: Set<string>; shared: Set<string> } {
  const own = new Set<string>();
  const shared = new Set<string>();
  let names = shared;
  for (const line of text.split('\n')) {
    if (line === 'namespace {') names = own;
    else if (line === '}  // namespace') names = shared;
    const name = declaredIn(line);
    if (name !== undefined) names.add(name);
  }
  return { own, shared };
}

function clashes(sources: readonly SourceFile[]): string[] {
  const known = sources.map(({ path, text }) => ({ path, room: path.split('/')[1], ...namesOf(text) }));
  return known.flatMap(({ path, room, own }) =>
    known
      .filter((other) => other.room === room && other.path !== path)
      .flatMap((other) =>
        [...own]
          .filter((name) => other.own.has(name) || other.shared.has(name))
          .map((name) => `${name}: ${path} and ${other.path}`),
      ),
  );
}

describe('sources of a room, compiled together', () => {
  const sources = readTree('native', ['.cpp']).filter(({ path }) => !path.startsWith('native/addon/'));

  test('keep no name for themselves that another one has', () => {
    expect(clashes(sources)).toEqual([]);
  });

  test('open no namespace to what comes after them', () => {
    const open = sources.filter(({ text }) => /^using namespace\b/m.test(text));
    expect(open.map(({ path }) => path)).toEqual([]);
  });

  test('the search finds what it is meant to find', () => {
    const a = `namespace verbex {
namespace {
constexpr uint32_t kMost = 3;
std::atomic<int> counter{0};
template <typename T>
const T* first(const std::vector<T>& all) {
    return all.data();
}
class Ring final : public Sink {
};
Result<std::map<Name, int>> namesOf(int from,
                                    int to) {
}
}  // namespace
int Book::best() { return 1; }
void shared() {}
}  // namespace verbex`;
    expect(namesOf(a)).toEqual({
      own: new Set(['kMost', 'counter', 'first', 'Ring', 'namesOf']),
      shared: new Set(['shared']),
    });
    const b = 'namespace {\nstruct Ring {\n};\nbool shared(int);\n}  // namespace\n';
    expect(
      clashes([
        { path: 'native/core/a.cpp', text: a },
        { path: 'native/core/b.cpp', text: b },
        { path: 'native/book/b.cpp', text: b },
      ]),
    ).toEqual([
      'Ring: native/core/a.cpp and native/core/b.cpp',
      'Ring: native/core/b.cpp and native/core/a.cpp',
      'shared: native/core/b.cpp and native/core/a.cpp',
    ]);
  });
});
