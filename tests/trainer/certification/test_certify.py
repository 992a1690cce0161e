"""Certifying a bundle for real, without torch: the graph of `tiny_bundle` is the evaluator."""

from __future__ import annotations

import json
import random
import resource
import shutil
from dataclasses import replace

import numpy as np
import pytest
from learnt_examples import NOT_LEARNT
from tiny_bundle import WORDS, make_bundle

from tipstaff import Interaction
from tipstaff.cli import main
from tipstaff.types import Reason, Verdict
from tipstaff_server import repository
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.manifest import Policy
from tipstaff_trainer.certification.certify import (
    certified_manifest,
    certify,
    pass_scores,
    write_certified,
)
from tipstaff_trainer.certification.eligible import eligible_rows, one_of_each_group
from tipstaff_trainer.certification.promise import Promise
from tipstaff_trainer.data import Row, hash_training_rows
from tipstaff_trainer.data.rows import narrow
from tipstaff_trainer.distil.run_folder import metrics_file, run_folder
from tipstaff_trainer.errors import CertificationError
from tipstaff_trainer.evaluation.learning import learning_curves
from tipstaff_trainer.evaluation.predict import predict_all
from tipstaff_trainer.report.card import model_card

PROMISE = Promise(0.1, 0.1, 0.9)


def _spelled(number: int) -> str:
    return " ".join(WORDS[int(digit)] for digit in str(number))


@pytest.fixture(scope="module")
def evaluator(path):
    return Evaluator.load(path)


def put_certified(bundle, policy, out):
    manifest = certified_manifest(bundle.manifest, "fp32", policy)
    return write_certified(bundle, manifest, out, card=model_card(manifest))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def rows(evaluator):
    """Rows with labels drawn from the evaluator's scores, each in its own group."""
    generator = random.Random(0)
    texts = [" ".join(generator.choices(WORDS, k=6)) for _ in range(800)]
    rows = [
        Row(
            # Words that the evaluator knows: what it can't read passes at no threshold.
            Interaction(_spelled(index), text, "paris is the capital"),
            label=0.0,
            id=str(index),
            group=str(index),
            label_source="human",
            selection="random",
        )
        for index, text in enumerate(texts)
    ]
    scores = [
        prediction.score for prediction in predict_all(evaluator, [row.interaction for row in rows])
    ]
    middle, spread = np.median(scores), np.std(scores)
    return [
        replace(row, label=float(generator.gauss(score, spread / 2) > middle))
        for row, score in zip(rows, scores, strict=True)
    ]


def test_the_certificate_is_in_the_bundle_and_the_verdicts_keep_it(path, evaluator, rows, tmp_path):
    bundle = Bundle.open(path)
    found = certify(bundle, evaluator, rows, PROMISE)
    written = put_certified(bundle, found.policy, tmp_path / "certified")

    held = written.manifest.graphs[0].policy.certificate
    assert (held.max_false_pass, held.max_false_block, held.confidence) == (0.1, 0.1, 0.9)
    assert held.n == held.n_bad + held.n_good == 800
    served = Evaluator.load(written.path)
    served.warm_up()
    scored = predict_all(served, [row.interaction for row in rows])
    bad = [prediction.verdict for prediction, row in zip(scored, rows, strict=True) if not row.good]
    assert bad.count(Verdict.PASS) == found.bad[Verdict.PASS] == found.cuts.false_pass.errors
    assert 0 < bad.count(Verdict.PASS) < 0.1 * len(bad)
    good = [prediction.verdict for prediction, row in zip(scored, rows, strict=True) if row.good]
    assert good.count(Verdict.BLOCK) == found.cuts.false_block.errors
    assert Reason.UNCERTIFIED not in scored[0].reasons
    assert "at most 0.1 of bad outputs get PASS" in (written.path / "card.md").read_text()
    assert held.unseen_checked is False
    assert "nobody checked that it had seen none" in (written.path / "card.md").read_text()
    # The source bundle is unchanged.
    assert Bundle.open(path).manifest.graphs[0].policy.certificate is None


def test_what_the_training_run_left_goes_with_the_certified_bundle(path, tmp_path):
    source = shutil.copytree(path, tmp_path / "source")
    teacher = run_folder(source) / "teacher"
    teacher.mkdir(parents=True)
    (teacher / "weights.safetensors").write_bytes(b"weights")
    metrics_file(source).write_text('{"step": 1, "loss": 0.5}\n')
    written = put_certified(Bundle.open(source), Policy(), tmp_path / "certified")
    assert (
        learning_curves(metrics_file(written.path)) == learning_curves(metrics_file(source)) != ()
    )
    copied = run_folder(written.path) / "teacher" / "weights.safetensors"
    assert copied.read_bytes() == b"weights"


def test_a_disk_that_is_full_leaves_no_half_bundle(path, tmp_path):
    source = shutil.copytree(path, tmp_path / "source")
    run_folder(source).mkdir()
    with (run_folder(source) / "weights.safetensors").open("wb") as file:
        file.truncate(1 << 24)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(CertificationError, match=r"certified: can't be written: .*too large"):
            put_certified(Bundle.open(source), Policy(), tmp_path / "certified")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [entry.name for entry in tmp_path.iterdir()] == ["source"]


def test_what_something_else_than_the_score_keeps_from_passing_does_not_count(evaluator, rows):
    lacking = [replace(row.interaction, ground_truth=None) for row in rows[:3]]
    long = [replace(row.interaction, output="paris " * 200) for row in rows[:3]]
    found = predict_all(evaluator, [*lacking, *long, rows[0].interaction])
    assert np.isneginf(pass_scores(found, Policy())).tolist() == [True] * 6 + [False]
    named = pass_scores(found, Policy(pass_on_partial=True))
    assert np.isneginf(named).tolist() == [True] * 3 + [False] * 4


def test_what_cannot_be_read_passes_at_no_cut_unless_the_policy_names_it(evaluator, rows):
    thai = replace(rows[0].interaction, output="ไม่คืนเงิน")
    found = predict_all(evaluator, [thai, rows[0].interaction])
    assert np.isneginf(pass_scores(found, Policy())).tolist() == [True, False]
    named = pass_scores(found, Policy(pass_on_unreadable=True))
    assert not np.isneginf(named).any()


def test_what_cannot_be_read_is_certified_only_by_name(path, rows, tmp_path, capsys):
    thai = [
        replace(row, interaction=replace(row.interaction, input=row.interaction.input + "ก" * 99))
        for row in rows
    ]
    file = write(thai, tmp_path / "thai.jsonl")
    words = ["--label-source", "human", "--selection", "random", "--out", str(tmp_path / "c")]
    assert main(["certify", str(path), str(file), *words, "--max-false-pass", "0.2"]) == 1
    assert "UNREADABLE" in capsys.readouterr().err
    words += ["--max-false-pass", "0.2", "--pass-on-unreadable"]
    assert main(["certify", str(path), str(file), *words]) == 0
    policy = Bundle.open(tmp_path / "c").manifest.graphs[0].policy
    assert (policy.pass_on_unreadable, policy.pass_on_partial) == (True, False)
    assert (policy.max_unread_output, policy.max_unread_other) == (0.05, 0.25)
    assert "may PASS         what the encoder can't read" in capsys.readouterr().out


def test_rows_of_judges_and_rows_not_drawn_at_random_are_left_out_and_counted(path, rows):
    mixed = [
        *(replace(row, label_source="judge") for row in rows[:10]),
        *(replace(row, selection="uncertain") for row in rows[10:15]),
        *(replace(row, selection="unknown") for row in rows[15:18]),
        *rows[18:],
    ]
    chosen, notes = eligible_rows(mixed, Bundle.open(path))
    assert [row.id for row in chosen] == [row.id for row in rows[18:]]
    assert "10 of 800 rows left out" in notes[0]
    assert "790 human, 10 judge" in notes[0]
    assert "8 of 790 human rows left out" in notes[1]
    assert "782 random, 5 uncertain, 3 unknown" in notes[1]


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ({"label_source": "judge"}, "800 judge.*label_source human"),
        ({"selection": "unknown"}, "800 unknown.*selection random"),
    ],
)
def test_where_none_is_left_it_says_why_and_what_to_do(path, rows, values, advice):
    with pytest.raises(CertificationError, match=advice):
        eligible_rows([replace(row, **values) for row in rows], Bundle.open(path))


def test_one_row_of_each_group_counts_whatever_its_order_label_or_text(rows):
    grouped = [replace(row, group=str(int(row.id) // 5)) for row in rows]
    chosen = one_of_each_group(grouped)
    assert len({row.group for row in chosen}) == len(chosen) == 160
    again = one_of_each_group([replace(row, label=0.5) for row in reversed(grouped)])
    assert sorted(row.id for row in again) == sorted(row.id for row in chosen)
    # The chosen rows come from every position in their groups.
    assert len({int(row.id) % 5 for row in chosen}) == 5


@pytest.mark.parametrize("groups", [40, 801])
def test_copies_of_one_interaction_are_no_proof_whatever_their_ids_and_groups(path, rows, groups):
    copies = [
        replace(rows[0], id=f"copy {n}", group=f"copy {n % groups}") for n in range(len(rows) + 1)
    ]
    with pytest.raises(CertificationError, match="801 of the 1600 rows are one and the same to"):
        eligible_rows([*rows[1:], *copies], Bundle.open(path))


def test_texts_that_many_groups_share_count_once_each(path, rows):
    # United, they would be most of the rows, so `united_groups` keeps them apart.
    shared = [
        replace(row, id=f"{row.id} in {n}", group=f"shared {n}")
        for n in range(500)
        for row in rows[:2]
    ]
    single, notes = eligible_rows([*rows[2:], *shared], Bundle.open(path))
    assert len(single) == 800
    assert notes[-1].startswith("498 of 1298 groups left out, as the evaluator reads the same")


def test_rows_that_it_was_trained_on_are_left_out_with_their_groups(path, rows, tmp_path):
    trained = make_bundle(tmp_path / "trained", seen=hash_training_rows(rows[:20]))
    bundle = Bundle.open(trained)

    # Recognised by texts under another id, by group with other texts, and by input in another
    # file's group.
    shouted = replace(rows[0].interaction, output=rows[0].interaction.output.upper())
    renamed = replace(rows[0], interaction=shouted, id="a", group="a")
    reworded = replace(rows[1], interaction=Interaction("x", "y", "z"), id="b")
    regrouped = replace(
        rows[2], interaction=replace(rows[2].interaction, output="other"), id="c", group="c"
    )
    chosen, notes = eligible_rows([renamed, reworded, regrouped, *rows[20:]], bundle)
    assert [row.id for row in chosen] == [row.id for row in rows[20:]]
    assert "3 of 783 rows left out" in notes[0]
    assert "trained on them (1 by their texts) or on others of their groups" in notes[0]
    with pytest.raises(CertificationError, match=r"no row is left.*new to it"):
        eligible_rows(rows[:20], bundle)

    found = certify(bundle, Evaluator.load(trained), rows, PROMISE)
    written = put_certified(bundle, found.policy, tmp_path / "certified")
    assert found.policy.certificate.unseen_checked is True
    assert "nobody checked" not in (written.path / "card.md").read_text()


def test_they_are_known_whatever_other_fields_an_audit_has(rows, tmp_path):
    as_read = [replace(row, interaction=narrow(row.interaction, ["output"])) for row in rows[:20]]
    bundle = make_bundle(tmp_path / "b", order=("output",), seen=hash_training_rows(as_read))
    audited = [replace(row, id=f"audit {row.id}", group=f"audit {row.group}") for row in rows[:20]]
    known = {row.interaction.output for row in audited}
    new = [row for row in rows[20:] if row.interaction.output not in known]
    chosen, notes = eligible_rows([*audited, *new], Bundle.open(bundle))
    assert [row.id for row in chosen] == [row.id for row in new]
    assert "trained on them (20 by their texts)" in notes[0]


def test_a_machine_that_scores_otherwise_can_not_certify(rows, tmp_path):
    path = make_bundle(tmp_path / "shifted", golden_shift=0.1)
    evaluator = Evaluator.load(path)
    evaluator.warm_up()
    with pytest.raises(CertificationError, match="golden scores differ"):
        certify(Bundle.open(path), evaluator, rows, PROMISE)


@pytest.fixture
def file(rows, tmp_path):
    return write(rows, tmp_path / "rows.jsonl")


def write(rows, file):
    with file.open("w") as lines:
        for row in rows:
            fields = {name: row.interaction.get(name) for name in ("input", "output")}
            record = {"ground_truth": row.interaction.ground_truth, "label": row.label, **fields}
            lines.write(json.dumps(record) + "\n")
    return file


def test_the_command_says_what_it_promises_and_what_that_costs(path, file, tmp_path, capsys):
    out = tmp_path / "certified"
    words = ["--label-source", "human", "--selection", "random", "--out", str(out)]
    assert main(["certify", str(path), str(file), "--max-false-pass", "0.1", *words]) == 0
    said = capsys.readouterr()
    assert "at most 0.1 with confidence 0.95" in said.out
    assert "P(BLOCK | good)  nothing promised" in said.out
    assert f"tipstaff serve {out}" in said.out
    assert "this bundle doesn't know its training rows" in said.err
    assert Bundle.open(out).manifest.graphs[0].policy.certificate.max_false_block == 1
    assert main(["inspect", str(out)]) == 0
    assert "not checked against the training rows" in capsys.readouterr().out


def test_the_command_does_not_guess_who_labelled_the_rows(path, file, tmp_path, capsys):
    assert main(["certify", str(path), str(file), "--out", str(tmp_path / "c")]) == 1
    said = capsys.readouterr().err
    assert "800 other" in said
    assert not (tmp_path / "c").exists()


def test_too_few_bad_rows_are_refused_before_anything_is_written(path, rows, tmp_path, capsys):
    bad = [row for row in rows if not row.good][:20]
    file = write([*bad, *(row for row in rows if row.good)], tmp_path / "few.jsonl")
    words = ["--label-source", "human", "--selection", "random", "--out", str(tmp_path / "c")]
    assert main(["certify", str(path), str(file), *words]) == 1
    said = capsys.readouterr().err
    assert "20 bad rows" in said
    assert "label 39 more bad ones" in said
    assert not (tmp_path / "c").exists()


def test_a_folder_that_is_not_there_is_told_before_rows_are_scored(path, file, tmp_path, capsys):
    words = ["--label-source", "human", "--selection", "random"]
    words += ["--out", str(tmp_path / "nowhere" / "c")]
    assert main(["certify", str(path), str(file), *words]) == 2
    said = capsys.readouterr().err
    assert "nowhere: no such folder" in said
    assert "scoring" not in said


def test_a_published_version_is_never_written_beside(path, file, tmp_path, capsys):
    version = repository.publish(path, tmp_path / "repo")
    published = repository.bundle_path(tmp_path / "repo", "tiny", version)
    assert main(["certify", str(published), str(file)]) == 2
    assert "never changes" in capsys.readouterr().err
    assert [entry.name for entry in published.parent.iterdir()] == ["1"]


def test_a_cut_is_not_proved_by_rows_that_something_else_keeps_from_passing(path, rows):
    """Without ground truth no row can pass at any threshold, so the laxest would look safe."""
    lacking = [
        replace(row, interaction=replace(row.interaction, ground_truth=None)) for row in rows
    ]
    some = [
        lack if index % 10 else row
        for index, (lack, row) in enumerate(zip(lacking, rows, strict=True))
    ]
    evaluator = Evaluator.load(path)
    with pytest.raises(CertificationError, match=r"only 0 of \d+ bad rows.*MISSING_FIELD"):
        certify(Bundle.open(path), evaluator, lacking, Promise())
    with pytest.raises(CertificationError, match=r"takes 59 at least.*MISSING_FIELD.*mapping"):
        certify(Bundle.open(path), evaluator, some, Promise())
    # BLOCK needs only a score.
    blocking = certify(Bundle.open(path), evaluator, lacking, Promise(1, 0.1, 0.9))
    assert blocking.cuts.false_pass is None


def test_what_may_pass_from_now_on_is_part_of_what_is_proved(path, rows, tmp_path, capsys):
    long = [
        replace(row, interaction=replace(row.interaction, ground_truth="paris is the " * 100))
        for row in rows
    ]
    file = write(long, tmp_path / "long.jsonl")
    words = ["--label-source", "human", "--selection", "random", "--out", str(tmp_path / "c")]
    words += ["--max-false-pass", "0.2"]
    assert main(["certify", str(path), str(file), *words]) == 1
    assert "PARTIAL" in capsys.readouterr().err
    assert main(["certify", str(path), str(file), *words, "--pass-on-partial"]) == 0
    policy = Bundle.open(tmp_path / "c").manifest.graphs[0].policy
    assert policy.pass_on_partial
    assert not policy.pass_on_ood
    assert policy.certificate is not None
    assert "may PASS         what was not read in full" in capsys.readouterr().out
    # A second certification keeps and reports this.
    again = [*words[:4], "--out", str(tmp_path / "again"), "--max-false-pass", "0.2"]
    assert main(["certify", str(tmp_path / "c"), str(file), *again]) == 0
    shown = capsys.readouterr().out
    assert "may PASS         what was not read in full" in shown
    assert "unlike the training data" not in shown


def test_one_that_has_not_learnt_is_certified_only_by_name(rows, tmp_path, capsys):
    bundle = make_bundle(tmp_path / "b", learnt=NOT_LEARNT)
    file = write(rows, tmp_path / "rows.jsonl")
    words = ["--label-source", "human", "--selection", "random", "--out", str(tmp_path / "c")]
    words += ["--max-false-pass", "0.2"]
    assert main(["certify", str(bundle), str(file), *words]) == 1
    refusal = capsys.readouterr().err
    assert "nothing would pass: tiny is not clearly better than chance (AUROC 0.550" in refusal
    assert "add --pass-on-not-learnt" in refusal
    words += ["--pass-on-not-learnt", "--block-on-ood"]
    assert main(["certify", str(bundle), str(file), *words]) == 0
    certified = Bundle.open(tmp_path / "c")
    policy = certified.manifest.graphs[0].policy
    assert policy.pass_on_not_learnt
    assert policy.block_on_ood
    shown = capsys.readouterr().out
    assert "may PASS         outputs, though it has not learnt" in shown
    assert "may BLOCK        what is unlike the training data" in shown
    prediction = Evaluator.load(tmp_path / "c").score(rows[0].interaction)
    assert Reason.NOT_LEARNT in prediction.reasons
    # The bound on BLOCK needs no PASS.
    certify(Bundle.open(bundle), Evaluator.load(bundle), rows, Promise(1, 0.1, 0.9))


def test_a_certificate_of_a_mixture_says_so(path, evaluator, rows, tmp_path):
    bundle = Bundle.open(path)
    promise = Promise(0.6, 1.0, 0.9)
    plain = certify(bundle, evaluator, rows, promise)
    probed = certify(bundle, evaluator, rows, promise, probed=True)
    assert plain.policy.certificate.rows == "plain"
    certificate = probed.policy.certificate
    assert certificate.rows == "probed"
    # Rewritings that break good rows leave more bad ones to prove the bound on.
    assert certificate.n == plain.policy.certificate.n
    assert certificate.n_bad > plain.policy.certificate.n_bad
    assert certificate.fingerprint != plain.policy.certificate.fingerprint
    assert any("rows rewritten" in note for note in probed.notes)
    written = put_certified(bundle, probed.policy, tmp_path / "out")
    card = (written.path / "card.md").read_text()
    assert "labelled by people, half of them rewritten, 20" in card
