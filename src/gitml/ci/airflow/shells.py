"""What tasks call, as text for Bash that is the same in every file: names of users come by the environment alone.

Each try begins in an empty folder and leaves nothing behind, so a task may be killed and tried again. What one task
hands to the next is a file in a folder that all workers see, under its own SHA-256; only that digest goes by XCom.
"""

from __future__ import annotations

# Exit code 99 makes a task skipped.
COMMON = r"""set -euo pipefail
fail() { echo "gitml: $1" >&2; exit 1; }
[ -n "${GITML_REMOTE:-}" ] || fail "set GITML_REMOTE, the URL of the repository, where Airflow's processes run"
[ -d "${GITML_HANDOVER:-}" ] || fail "GITML_HANDOVER must name a folder that all workers see"
GITML_HANDOVER="${GITML_HANDOVER%/}/gitml"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
shared="$GITML_HANDOVER/$(printf '%s' "$AIRFLOW_CTX_DAG_ID $AIRFLOW_CTX_DAG_RUN_ID" | sha256sum | cut -c1-32)"
mkdir -p "$shared" "$GITML_HANDOVER/trained" "$work/handover"
export GITML_CI="$work/handover" CI=true GITML_CI_SYSTEM=airflow
pages="${AIRFLOW__API__BASE_URL:-http://localhost:8080}"
export GITML_RUN_URL="${pages%/}/dags/$AIRFLOW_CTX_DAG_ID/$GITML_RUN_PAGE"
about() {
  [[ "$1" =~ ^([0-9a-f]{40}|[0-9a-f]{64})\ [^\ ]+$ ]] || fail "the task pin told no commit"
  export GITML_COMMIT="${1% *}" GITML_BRANCH="${1#* }"
}
clone() {
  git clone -q -- "$GITML_REMOTE" "$work/code"
  cd "$work/code"
  git checkout -q --detach "$1"
}
install() {
  "python$GITML_PYTHON" -m venv "$work/venv"
  export PATH="$work/venv/bin:$PATH"
  cd "./$GITML_FOLDER"
  pip install -q "$GITML_PACKAGE"
  if [ -n "${GITML_LOCKS:-}" ]; then
    while IFS= read -r lock; do set -- "$@" -r "$lock"; done <<< "$GITML_LOCKS"
    pip install -q "$@"
    pip check
  fi
}
give() {
  digest="$(sha256sum < "$GITML_CI/$1" | cut -d' ' -f1)"
  cp "$GITML_CI/$1" "$shared/.$digest.$$"
  mv "$shared/.$digest.$$" "$shared/$digest"
  echo "$digest"
}
take() {
  [[ "$2" =~ ^[0-9a-f]{64}$ ]] || return 0
  cp "$shared/$2" "$GITML_CI/$1"
  echo "$2  $GITML_CI/$1" | sha256sum -c --status || fail "$1 is not what the task before handed over"
}
"""

PIN = r"""find "$GITML_HANDOVER" -mindepth 1 -maxdepth 1 -type d ! -name trained -mtime +30 -exec rm -rf {} +
sha="$(git ls-remote -- "$GITML_REMOTE" "refs/heads/$GITML_DEFAULT_BRANCH" | cut -f1)"
[ -n "$sha" ] || fail "the repository has no branch $GITML_DEFAULT_BRANCH"
echo "$sha $GITML_DEFAULT_BRANCH"
"""

# The branch that somebody named, else the first retraining that was not trained yet.
PIN_TRAINING = r"""git init -q "$work/look"
cd "$work/look"
if [ -n "$GITML_ASKED" ]; then
  patterns=("refs/heads/$GITML_ASKED")
else
  mapfile -t patterns <<< "$GITML_RETRAININGS"
fi
found=""
while read -r sha ref; do
  if [ -z "$GITML_ASKED" ]; then
    git fetch -q --depth=1 -- "$GITML_REMOTE" "$ref"
    [ -z "$(git log -1 --format='%(trailers:key=Gitml-Trained,valueonly)' FETCH_HEAD)" ] || continue
    [ ! -e "$GITML_HANDOVER/trained/$sha" ] || continue
  fi
  found="$sha ${ref#refs/heads/}"
  break
done < <(git ls-remote -- "$GITML_REMOTE" "${patterns[@]}")
if [ -z "$found" ]; then
  [ -z "$GITML_ASKED" ] || fail "the repository has no branch $GITML_ASKED"
  echo "nothing is to be trained"
  exit 99
fi
echo "$found"
"""

RUN = r"""about "$GITML_PINNED"
clone "$GITML_COMMIT"
while read -r job digest; do
  if [ -n "$job" ]; then take "fragment-$job.json" "${digest:-}"; fi
done <<< "$GITML_TAKES"
install
gitml ci run "$GITML_JOB"
give "fragment-$GITML_JOB.json"
"""

# gitml is installed from the default branch: what is trained is data here.
COMMIT = r"""about "$GITML_PINNED"
clone "origin/$GITML_DEFAULT_BRANCH"
install
cd "$work/code"
git checkout -q --detach "$GITML_COMMIT"
cd "./$GITML_FOLDER"
while read -r job digest; do
  if [ -n "$job" ]; then take "fragment-$job.json" "${digest:-}"; fi
done <<< "$GITML_TAKES"
failed=0
gitml ci commit || failed=$?
gitml ci publish
# The same commit is not trained again by itself.
touch "$GITML_HANDOVER/trained/$GITML_COMMIT"
exit "$failed"
"""

# Exit code 3 says that something could not be read and stays due: what could be is signed, and the last task is red.
EVALUATE = r"""about "$GITML_PINNED"
clone "$GITML_COMMIT"
install
code=0
gitml ci monitor evaluate || code=$?
[ "$code" = 0 ] || [ "$code" = 3 ] || exit "$code"
echo "$code" > "$shared/evaluate.code"
give looks.json
"""

SIGN = r"""about "$GITML_PINNED"
clone "$GITML_COMMIT"
install
take looks.json "$GITML_LOOKS"
gitml ci monitor sign
"""

PUBLISH = r"""about "$GITML_PINNED"
clone "$GITML_COMMIT"
install
gitml ci monitor publish
exit "$(cat "$shared/evaluate.code" 2> /dev/null || echo 1)"
"""

RETRAIN = r"""about "$GITML_PINNED"
clone "$GITML_COMMIT"
install
gitml ci retrain
"""

SCORE = r"""about "$GITML_PINNED"
clone "$GITML_COMMIT"
install
set -- "$GITML_REFERENCE" --input "${GITML_INPUT//'{day}'/$GITML_DAY}" --output "${GITML_OUTPUT//'{day}'/$GITML_DAY}"
[ -z "$GITML_LOG" ] || set -- "$@" --log
gitml score "$@" --json | tee "$work/said" >&2
sha256sum < "$work/said" | cut -d' ' -f1
"""
