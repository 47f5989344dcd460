"""The transferable predictor: accuracy of an architecture on a data set, from the images alone."""

from ednag_jax.predictor.coreset import SELECTIONS, Coreset, coreset, random_images
from ednag_jax.predictor.dags import Dag, DagForm, dag_of
from ednag_jax.predictor.evaluation import TaskQuality, nearest_tasks, task_quality
from ednag_jax.predictor.examples import MetaTable
from ednag_jax.predictor.fitness import PredictedAccuracy, predicted_benchmark
from ednag_jax.predictor.model import Prediction, Predictor, Target, encode_dataset, score
from ednag_jax.predictor.saved import load_predictor, save_predictor
from ednag_jax.predictor.train import History, train_predictor

__all__ = [
    "SELECTIONS",
    "Coreset",
    "Dag",
    "DagForm",
    "History",
    "MetaTable",
    "PredictedAccuracy",
    "Prediction",
    "Predictor",
    "Target",
    "TaskQuality",
    "coreset",
    "dag_of",
    "encode_dataset",
    "load_predictor",
    "nearest_tasks",
    "predicted_benchmark",
    "random_images",
    "save_predictor",
    "score",
    "task_quality",
    "train_predictor",
]
