"""Which epoch is the best one, and when to stop."""

import numpy as np

from models.training.progress import Progress


def went(*scores: float, unrated: int = 0) -> Progress:
    progress = Progress()
    for number, score in enumerate(scores):
        progress.add({"val_pr_auc": score, "val_loss": 1.0}, lambda n=number: [np.array(n)], unrated)
    return progress


def test_the_best_epoch_keeps_its_weights():
    progress = went(0.2, 0.6, 0.5)
    assert progress.best_epoch == 1 and progress.best_weights[0] == 1


def test_a_lucky_first_epoch_is_no_reason_to_stop():
    assert went(0.9, 0.2, 0.3, unrated=2).best_epoch == 2
    assert went(0.9, 0.2, 0.3).best_epoch == 0


def test_equal_ranks_are_told_apart_by_the_loss():
    progress = Progress()
    for loss in (0.5, 0.3, 0.4):
        progress.add({"val_pr_auc": 1.0, "val_loss": loss}, lambda: [], 0)
    assert progress.best_epoch == 1


def test_without_validation_the_last_epoch_is_the_best():
    progress = Progress()
    for _ in range(3):
        progress.add({"loss": 1.0}, lambda: [], 0)
    assert progress.best_epoch == 2 and not progress.is_over(1)


def test_patience_counts_from_the_best_epoch():
    progress = went(0.1, 0.5, 0.4, 0.3)
    assert progress.is_over(2) and not progress.is_over(3)


def test_a_checkpoint_gives_it_back():
    progress = went(0.1, 0.5, 0.4)
    again = Progress.of(progress.to_facts(), {**progress.to_arrays(), "state/0": np.zeros(3)})
    assert (again.history, again.best_epoch) == (progress.history, 1) and again.best_weights[0] == 1
